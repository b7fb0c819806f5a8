//! Copies of inputs that are compared with what was fetched.

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
        .expect("nobody else has it")
}

/// Fetches an input and changes the copy.
async fn leave_a_changed_copy(root: &Path, server: &Server) {
    let cache = open_verifying(root).await;
    let input = require(&cache, url(server)).await.expect("it is there");
    let mut bytes = std::fs::read(input.path()).expect("it is there");
    bytes[1000] ^= 1;
    std::fs::write(input.path(), bytes).expect("there is room");
}

#[tokio::test]
async fn what_has_changed_on_disk_is_fetched_again_if_that_is_verified() {
    for (verify, requests) in [(true, 2), (false, 1)] {
        let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
        leave_a_changed_copy(root.path(), &server).await;
        let cache = match verify {
            true => open_verifying(root.path()).await,
            false => open(root.path()).await,
        };
        let inputs = join_all((0..5).map(|_| require(&cache, url(&server)))).await;
        for input in inputs {
            let input = input.expect("it comes");
            assert!(!verify || std::fs::read(input.path()).expect("it is there") == body(LENGTH));
        }
        assert_eq!(server.requests().len(), requests, "verify: {verify}");
    }
}

#[tokio::test]
async fn what_is_as_it_was_is_not_fetched_again_when_it_is_verified() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open_verifying(root.path()).await;
    drop(require(&cache, url(&server)).await.expect("it is there"));
    drop(cache);
    let cache = open_verifying(root.path()).await;
    check_content(&require(&cache, url(&server)).await.expect("it is there"));
    assert_eq!(server.requests().len(), 1);
}

/// Another thread wants the same input at the moment in which it is found changed.
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
        other.join().expect("nobody gets what has changed");
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// When it is done, nothing of it runs any more: no thread has to be waited for, as for the lock of a cache.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("there are resources");
    runtime.block_on(work)
}

fn get_on_this_thread(cache: &FetchCache, reference: Value) {
    let input = block_on(require(cache, reference));
    check_content(&input.expect("it comes again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_copy_is_given_to_nobody_who_asks_while_it_is_found_changed() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| block_on(leave_a_changed_copy(root.path(), &server)));
        tokio::task::block_in_place(|| one.join()).expect("it is fetched");
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
    one.expect("it runs").expect("nobody gets what has changed");
    assert_eq!(server.requests().len(), 2);
}
