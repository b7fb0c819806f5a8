//! Uploads under each fault that can be injected: the bytes are right, or the task is told what failed.

use runtime_core::artifact::UploadError;
use runtime_mocks::taskcluster::{Fault, FaultRule};

use super::*;

/// What the task sees of a fault that strikes once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// Nothing: the artifact is there.
    Nothing,
    /// The queue or the object service refused, with this status.
    Refusal(u16),
    /// The store refused, with this status.
    StoreRefusal(u16),
}

const fn status(status: u16) -> Fault {
    Fault::Status {
        status,
        retry_after: None,
    }
}

/// What can go wrong with any method that is called for an upload.
const CALLS: &[(Fault, Seen)] = &[
    (status(500), Seen::Nothing),
    (
        Fault::Status {
            status: 503,
            retry_after: Some(0),
        },
        Seen::Nothing,
    ),
    (status(429), Seen::Nothing),
    (Fault::Html { status: 502 }, Seen::Nothing),
    (Fault::Reset { after: 0 }, Seen::Nothing),
    (Fault::Stall { after: 0 }, Seen::Nothing),
    (Fault::LostResponse, Seen::Nothing),
    (Fault::Truncate { after: 1 }, Seen::Nothing),
    (Fault::StallBody { after: 1 }, Seen::Nothing),
    (
        Fault::Slow {
            bytes_per_second: 20_000,
        },
        Seen::Nothing,
    ),
    (Fault::Latency { millis: 20 }, Seen::Nothing),
    (status(400), Seen::Refusal(400)),
    (status(403), Seen::Refusal(403)),
];

/// What means that somebody else has resolved the run, and that credentials are wrong.
const OF_THE_RUN: &[(Fault, Seen)] = &[
    (status(401), Seen::Refusal(401)),
    (status(409), Seen::Refusal(409)),
];

/// Of credentials for an object, the queue gives new ones.
const OF_AN_OBJECT: &[(Fault, Seen)] = &[(status(401), Seen::Nothing)];

/// What can go wrong with the bytes.
const BYTES: &[(Fault, Seen)] = &[
    (status(500), Seen::Nothing),
    (status(503), Seen::Nothing),
    // Stores say so when a connection was idle, or when a URL has expired.
    (status(400), Seen::Nothing),
    (status(403), Seen::Nothing),
    (Fault::Html { status: 502 }, Seen::Nothing),
    (Fault::Reset { after: 0 }, Seen::Nothing),
    (Fault::Reset { after: 300_000 }, Seen::Nothing),
    (Fault::Stall { after: 0 }, Seen::Nothing),
    (Fault::Stall { after: 300_000 }, Seen::Nothing),
    (Fault::LostResponse, Seen::Nothing),
    (Fault::Latency { millis: 20 }, Seen::Nothing),
    (status(404), Seen::StoreRefusal(404)),
    (Fault::Html { status: 307 }, Seen::StoreRefusal(307)),
    (Fault::Html { status: 304 }, Seen::StoreRefusal(304)),
];

/// Uploads with a fault that strikes once, and compares what the task sees and what arrived.
async fn check(
    world: &World,
    content: impl Fn(&Bytes) -> ArtifactBody,
    length: usize,
    rule: (&str, Fault, Seen),
) {
    let (method, fault, expected) = rule;
    let what = format!("{method} with {fault:?}");
    let task = world.running(json!({})).await;
    let bytes: Bytes = std::iter::repeat_with(|| fastrand::u8(..))
        .take(length)
        .collect();
    let injected = world
        .taskcluster
        .inject(FaultRule::new(method, fault).times(1));
    let artifact = Artifact {
        name: "public/a.bin".to_owned(),
        expires: None,
        content: content(&bytes),
    };
    let outcome = task.client.upload(&task.run, task.expires, &artifact).await;
    assert_eq!(injected.hits(), 1, "{what} did not strike");
    world.taskcluster.clear_faults();

    let stored = world
        .taskcluster
        .read_artifact(task.run.task_id.as_str(), "public/a.bin")
        .await;
    let seen = match outcome {
        Ok(uploaded) => {
            assert_eq!(uploaded.bytes, length as u64, "{what}");
            let stored = stored.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(
                stored.decoded().expect("decodes") == bytes,
                "{what}: other bytes arrived"
            );
            Seen::Nothing
        }
        Err(error) => {
            assert!(stored.is_err(), "{what}: it failed and is there");
            let text = runtime_core::error_chain(&error);
            assert!(text.contains("public/a.bin"), "{what}: {text}");
            match error {
                UploadError::Declare {
                    source: ApiError::Service(source),
                    ..
                } => Seen::Refusal(source.status),
                UploadError::Refused { status, .. } => Seen::StoreRefusal(status),
                other => panic!("{what}: {other:?}"),
            }
        }
    };
    assert_eq!(seen, expected, "{what}");
}

/// Little patience, so that each stall costs little.
async fn impatient() -> World {
    World::with(|settings| {
        settings.request_timeout = Duration::from_millis(400);
        settings.stall_timeout = Duration::from_millis(200);
        settings.credentials_wait = Duration::from_millis(20);
    })
    .await
}

async fn check_all(
    methods: &[&str],
    content: impl Fn(&Bytes) -> ArtifactBody + Copy,
    length: usize,
    faults: &[(Fault, Seen)],
) {
    let world = impatient().await;
    for method in methods {
        for (fault, seen) in faults {
            check(&world, content, length, (method, *fault, *seen)).await;
        }
    }
}

#[tokio::test]
async fn declarations_of_bytes_for_the_queue() {
    check_all(&["queue.createArtifact"], s3, 2_000, CALLS).await;
    check_all(&["queue.createArtifact"], s3, 2_000, OF_THE_RUN).await;
}

#[tokio::test]
async fn bytes_for_the_queue() {
    check_all(&["s3.put"], s3, 1 << 20, BYTES).await;
}

#[tokio::test]
async fn calls_for_a_small_object() {
    let methods = [
        "queue.createArtifact",
        "object.createUpload",
        "object.finishUpload",
        "queue.finishArtifact",
    ];
    check_all(&methods, object, 2_000, CALLS).await;
    let of_the_run = ["queue.createArtifact", "queue.finishArtifact"];
    check_all(&of_the_run, object, 2_000, OF_THE_RUN).await;
    let of_an_object = ["object.createUpload", "object.finishUpload"];
    check_all(&of_an_object, object, 2_000, OF_AN_OBJECT).await;
}

#[tokio::test]
async fn calls_for_a_large_object() {
    check_all(&["object.createUpload"], object, 1 << 20, CALLS).await;
}

#[tokio::test]
async fn bytes_of_an_object() {
    check_all(&["s3.put"], object, 1 << 20, BYTES).await;
}

#[tokio::test]
async fn urls_and_credentials_that_have_expired() {
    let world = impatient().await;
    let expired = |method, fault| (method, fault, Seen::Nothing);
    check(
        &world,
        s3,
        1 << 20,
        expired("queue.createArtifact", Fault::ExpiredUrl),
    )
    .await;
    check(
        &world,
        object,
        1 << 20,
        expired("object.createUpload", Fault::ExpiredUrl),
    )
    .await;
    for length in [100, 1 << 20] {
        let rule = expired("queue.createArtifact", Fault::ExpiredCredentials);
        check(&world, object, length, rule).await;
    }
}
