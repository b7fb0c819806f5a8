//! Verification of cached inputs after a restart.

use std::path::Path;

use futures_util::future::join_all;
use runtime_fetcher::FetchCache;
use runtime_gc::ResourceTracker;
use serde_json::Value;
use tracing::{Event, Metadata, Subscriber, span};

use crate::cache::{check_content, open, require, serve, url};
use crate::support::{Server, body};

const LENGTH: usize = 300_000;

pub(crate) async fn open_verifying(root: &Path) -> FetchCache {
    let cache = FetchCache::builder(root).verify_adopted(true);
    cache
        .open(ResourceTracker::detached())
        .await
        .expect("root is not locked")
}

/// Fetches an input and modifies the cached copy.
async fn leave_a_changed_copy(root: &Path, server: &Server) {
    let cache = open_verifying(root).await;
    let input = require(&cache, url(server)).await.expect("fetch succeeds");
    let mut bytes = std::fs::read(input.path()).expect("path exists");
    bytes[1000] ^= 1;
    std::fs::write(input.path(), bytes).expect("disk has space");
}

#[tokio::test]
async fn changed_input_is_fetched_again_if_verified() {
    for (verify, requests) in [(true, 2), (false, 1)] {
        let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
        leave_a_changed_copy(root.path(), &server).await;
        let cache = if verify {
            open_verifying(root.path()).await
        } else {
            open(root.path()).await
        };
        let inputs = join_all((0..5).map(|_| require(&cache, url(&server)))).await;
        for input in inputs {
            let input = input.expect("fetch succeeds");
            assert!(!verify || std::fs::read(input.path()).expect("path exists") == body(LENGTH));
        }
        assert_eq!(server.requests().len(), requests, "verify: {verify}");
    }
}

#[tokio::test]
async fn unchanged_input_passes_verification() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open_verifying(root.path()).await;
    drop(require(&cache, url(&server)).await.expect("fetch succeeds"));
    drop(cache);
    let cache = open_verifying(root.path()).await;
    check_content(&require(&cache, url(&server)).await.expect("fetch succeeds"));
    assert_eq!(server.requests().len(), 1);
}

/// A subscriber that requests the same input from another thread when a changed copy is logged.
struct Meanwhile {
    cache: FetchCache,
    reference: Value,
}

impl Subscriber for Meanwhile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("runtime_fetcher::cache")
    }

    fn event(&self, _: &Event<'_>) {
        let (cache, reference) = (self.cache.clone(), self.reference.clone());
        let other = std::thread::spawn(move || get_on_this_thread(&cache, reference));
        other.join().expect("changed copy is withheld");
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Runs `work` on a runtime that is shut down afterwards, which releases the lock of a cache.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("runtime starts");
    runtime.block_on(work)
}

fn get_on_this_thread(cache: &FetchCache, reference: Value) {
    let input = block_on(require(cache, reference));
    check_content(&input.expect("fetch succeeds"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_copy_is_withheld_during_its_detection() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| block_on(leave_a_changed_copy(root.path(), &server)));
        tokio::task::block_in_place(|| one.join()).expect("fetch succeeds");
    });
    let cache = open_verifying(root.path()).await;
    let (meanwhile, reference) = (cache.clone(), url(&server));
    let one = std::thread::spawn(move || {
        let subscriber = Meanwhile {
            cache: meanwhile.clone(),
            reference: reference.clone(),
        };
        tracing::subscriber::with_default(subscriber, || get_on_this_thread(&meanwhile, reference));
    });
    let one = tokio::task::spawn_blocking(|| one.join()).await;
    one.expect("thread does not panic")
        .expect("changed copy is withheld");
    assert_eq!(server.requests().len(), 2);
}
