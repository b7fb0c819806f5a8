//! Uploads under each fault that can be injected: either the stored bytes are right, or the error names the cause.

use runtime_core::artifact::UploadError;
use runtime_mocks::taskcluster::{Fault, FaultRule};

use super::*;

/// The visible effect of a fault that is injected once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    /// None: the artifact is stored.
    None,
    /// An error of the queue or the object service with this status.
    ServiceError(u16),
    /// An error of the store with this status.
    StoreError(u16),
    /// The object is declared and can never be uploaded.
    UploadLost,
}

const fn status(status: u16) -> Fault {
    Fault::Status {
        status,
        retry_after: None,
    }
}

/// Faults of the API methods that an upload calls, without an effect on the server.
const REFUSED_CALLS: &[(Fault, Effect)] = &[
    (status(500), Effect::None),
    (
        Fault::Status {
            status: 503,
            retry_after: Some(0),
        },
        Effect::None,
    ),
    (status(429), Effect::None),
    (Fault::Html { status: 502 }, Effect::None),
    (Fault::Reset { after: 0 }, Effect::None),
    (Fault::Stall { after: 0 }, Effect::None),
    (
        Fault::Slow {
            bytes_per_second: 20_000,
        },
        Effect::None,
    ),
    (Fault::Latency { millis: 20 }, Effect::None),
    (status(400), Effect::ServiceError(400)),
    (status(403), Effect::ServiceError(403)),
];

/// Faults that lose the response of a call with an effect on the server.
const fn lost_responses(effect: Effect) -> [(Fault, Effect); 3] {
    [
        (Fault::LostResponse, effect),
        (Fault::Truncate { after: 1 }, effect),
        (Fault::StallBody { after: 1 }, effect),
    ]
}

/// Faults of methods that use the credentials of the run: refused credentials, and a run that is already resolved.
const RUN_CALLS: &[(Fault, Effect)] = &[
    (status(401), Effect::ServiceError(401)),
    (status(409), Effect::ServiceError(409)),
];

/// Faults of methods that use the credentials of an object, which the queue returns once.
const OBJECT_CALLS: &[(Fault, Effect)] = &[(status(401), Effect::ServiceError(401))];

/// Faults of sending the bytes.
const PUTS: &[(Fault, Effect)] = &[
    (status(500), Effect::None),
    (status(503), Effect::None),
    // The status of a store for an idle connection or an expired URL.
    (status(400), Effect::None),
    (status(403), Effect::None),
    (Fault::Html { status: 502 }, Effect::None),
    (Fault::Reset { after: 0 }, Effect::None),
    (Fault::Reset { after: 300_000 }, Effect::None),
    (Fault::Stall { after: 0 }, Effect::None),
    (Fault::Stall { after: 300_000 }, Effect::None),
    (Fault::LostResponse, Effect::None),
    (Fault::Latency { millis: 20 }, Effect::None),
    (status(404), Effect::StoreError(404)),
    (Fault::Html { status: 307 }, Effect::StoreError(307)),
    (Fault::Html { status: 304 }, Effect::StoreError(304)),
];

/// Uploads while a fault is injected once, and compares its effect and the stored bytes.
async fn check(
    world: &World,
    content: impl Fn(&Bytes) -> ArtifactBody,
    length: usize,
    rule: (&str, Fault, Effect),
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
    assert_eq!(injected.hits(), 1, "{what}: not injected");
    world.taskcluster.clear_faults();

    let stored = world
        .taskcluster
        .read_artifact(task.run.task_id.as_str(), "public/a.bin")
        .await;
    let effect = match outcome {
        Ok(uploaded) => {
            assert_eq!(uploaded.bytes, length as u64, "{what}");
            let stored = stored.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(
                stored.decoded().expect("decodes") == bytes,
                "{what}: wrong bytes"
            );
            Effect::None
        }
        Err(error) => {
            assert!(
                stored.is_err(),
                "{what}: the upload failed but the artifact is stored"
            );
            let text = runtime_core::error_chain(&error);
            assert!(text.contains("public/a.bin"), "{what}: {text}");
            match error {
                UploadError::Declare {
                    source: ApiError::Service(source),
                    ..
                } => Effect::ServiceError(source.status),
                UploadError::Refused { status, .. } => Effect::StoreError(status),
                UploadError::UploadLost { .. } => Effect::UploadLost,
                other => panic!("{what}: {other:?}"),
            }
        }
    };
    assert_eq!(effect, expected, "{what}");
}

/// Returns a world with short timeouts, so that stalls do not slow down the tests.
async fn with_short_timeouts() -> World {
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
    faults: &[(Fault, Effect)],
) {
    let world = with_short_timeouts().await;
    for method in methods {
        for (fault, effect) in faults {
            check(&world, content, length, (method, *fault, *effect)).await;
        }
    }
}

#[tokio::test]
async fn s3_declaration_faults() {
    check_all(&["queue.createArtifact"], s3, 2_000, REFUSED_CALLS).await;
    let lost = lost_responses(Effect::None);
    check_all(&["queue.createArtifact"], s3, 2_000, &lost).await;
    check_all(&["queue.createArtifact"], s3, 2_000, RUN_CALLS).await;
}

#[tokio::test]
async fn s3_put_faults() {
    check_all(&["s3.put"], s3, 1 << 20, PUTS).await;
}

#[tokio::test]
async fn small_object_call_faults() {
    let methods = [
        "queue.createArtifact",
        "object.createUpload",
        "object.finishUpload",
        "queue.finishArtifact",
    ];
    check_all(&methods, object, 2_000, REFUSED_CALLS).await;
    let lost = lost_responses(Effect::None);
    check_all(&methods[1..], object, 2_000, &lost).await;
    let run_methods = ["queue.createArtifact", "queue.finishArtifact"];
    check_all(&run_methods, object, 2_000, RUN_CALLS).await;
    let object_methods = ["object.createUpload", "object.finishUpload"];
    check_all(&object_methods, object, 2_000, OBJECT_CALLS).await;
}

#[tokio::test]
async fn lost_object_declaration_is_a_clear_error() {
    let lost = lost_responses(Effect::UploadLost);
    check_all(&["queue.createArtifact"], object, 2_000, &lost).await;
}

#[tokio::test]
async fn large_object_call_faults() {
    let methods = ["object.createUpload"];
    check_all(&methods, object, 1 << 20, REFUSED_CALLS).await;
    let lost = lost_responses(Effect::None);
    check_all(&methods, object, 1 << 20, &lost).await;
}

#[tokio::test]
async fn object_put_faults() {
    check_all(&["s3.put"], object, 1 << 20, PUTS).await;
}

#[tokio::test]
async fn expired_urls_and_credentials() {
    let world = with_short_timeouts().await;
    let expired = |method, fault| (method, fault, Effect::None);
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
        let effect = Effect::ServiceError(401);
        let rule = ("queue.createArtifact", Fault::ExpiredCredentials, effect);
        check(&world, object, length, rule).await;
    }
}
