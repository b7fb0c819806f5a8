//! Property: for any sequence of faults, the target holds the correct bytes or the fetch fails.

use std::time::Duration;

use proptest::prelude::*;
use runtime_fetcher::{FetchContext, FileTarget, ParallelPolicy};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    Request, Server, Step, body, config, context_with, digest, get_reference, resolve,
};

const LENGTH: usize = 60_000;

/// The behaviour of the server for one request.
#[derive(Clone, Debug)]
enum Fault {
    /// A correct response.
    Nothing,
    /// The body ends early at an offset.
    Cut(usize),
    /// The connection is reset at an offset.
    Reset(usize),
    /// The body is another version with its own entity tag.
    OtherVersion,
    /// The range is ignored and the whole body returned.
    NoRange,
    /// An unexpected status.
    Status(u16),
    /// The body is another version with the entity tag of the right one.
    Lie,
    /// The bytes are shifted against their declared range.
    Shifted(usize),
}

/// Faults of servers that follow the protocol.
fn honest() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Nothing),
        (0..LENGTH).prop_map(Fault::Cut),
        (0..LENGTH).prop_map(Fault::Reset),
        Just(Fault::OtherVersion),
        Just(Fault::NoRange),
        prop_oneof![Just(416), Just(500), Just(404), Just(206), Just(204)].prop_map(Fault::Status),
    ]
}

/// Faults that only a hash detects, in addition to the others.
fn dishonest() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => honest(),
        1 => Just(Fault::Lie),
        1 => (1..1000usize).prop_map(Fault::Shifted),
    ]
}

fn many(fault: impl Strategy<Value = Fault>) -> impl Strategy<Value = Vec<Fault>> {
    prop::collection::vec(fault, 0..8)
}

fn other_version() -> Vec<u8> {
    body(LENGTH).iter().map(|byte| !byte).collect()
}

fn serve(request: &Request, fault: &Fault) -> Vec<Step> {
    let (tag, bytes) = match fault {
        Fault::OtherVersion => ("\"other\"", other_version()),
        Fault::Lie => ("\"right\"", other_version()),
        _ => ("\"right\"", body(LENGTH)),
    };
    match fault {
        Fault::Status(status) => return Step::answer(&format!("{status} Odd"), &[], b""),
        Fault::NoRange => return Step::answer("200 OK", &[("ETag", tag)], &bytes),
        // As `If-Range` requires.
        _ if request.header("if-range").is_some_and(|asked| asked != tag) => {
            return Step::answer("200 OK", &[("ETag", tag)], &bytes);
        }
        _ => {}
    }
    let mut steps = request.answer(tag, &bytes);
    let Some(Step::Send(body)) = steps.get_mut(1) else {
        return steps;
    };
    match fault {
        Fault::Shifted(by) => rotate(body, *by),
        Fault::Cut(at) | Fault::Reset(at) => {
            body.truncate(*at);
            let is_cut = matches!(fault, Fault::Cut(_));
            steps.push(if is_cut { Step::Close } else { Step::Reset });
        }
        _ => {}
    }
    steps
}

fn rotate(body: &mut [u8], by: usize) {
    let by = by % body.len().max(1);
    body.rotate_right(by);
}

/// Creates a context for one connection, or for several from the start.
fn context(parallel: bool) -> FetchContext {
    let mut config = config();
    if parallel {
        config.parallel = ParallelPolicy {
            range_bytes: 7_000,
            min_remaining: Duration::ZERO,
            window: Duration::ZERO,
            ..ParallelPolicy::default()
        };
    }
    context_with(config)
}

async fn start(faults: Vec<Fault>) -> Server {
    let at = move |request: &Request| {
        serve(
            request,
            faults.get(request.number).unwrap_or(&Fault::Nothing),
        )
    };
    Server::start(at).await
}

fn checked(server: &Server) -> Value {
    let hash = digest::<Sha256>(&body(LENGTH));
    json!({ "url": server.url("/"), "sha256": hash })
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("runtime starts").block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn verified_target_is_correct_or_uncommitted(
        faults in many(dishonest()), parallel in any::<bool>(),
    ) {
        block_on(async {
            let server = start(faults).await;
            if let Ok(bytes) = get_reference(&context(parallel), checked(&server)).await {
                assert!(bytes == body(LENGTH));
            }
        });
    }

    #[test]
    fn unverified_target_never_mixes_versions(
        faults in many(honest()), parallel in any::<bool>(),
    ) {
        block_on(async {
            let server = start(faults).await;
            let reference = json!({ "url": server.url("/") });
            if let Ok(bytes) = get_reference(&context(parallel), reference).await {
                assert!(bytes == body(LENGTH) || bytes == other_version());
            }
        });
    }

    #[test]
    fn file_is_complete_or_absent(
        faults in many(dishonest()), parallel in any::<bool>(),
    ) {
        block_on(async {
            let server = start(faults).await;
            let context = context(parallel);
            let reference = resolve(&context, checked(&server)).await;
            let folder = tempfile::tempdir().expect("disk has space");
            let path = folder.path().join("file");
            let fetched = reference.fetch(&context, &mut FileTarget::new(&path)).await;
            let entries = std::fs::read_dir(folder.path()).expect("path exists").count();
            match fetched {
                Ok(_) => assert!(std::fs::read(&path).expect("path exists") == body(LENGTH)),
                Err(_) => assert!(!path.exists()),
            }
            assert_eq!(entries, usize::from(path.exists()));
        });
    }
}
