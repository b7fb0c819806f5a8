//! Leases of exclusive folders.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use runtime_caching::FolderLookup;
use tracing::field::Field;
use tracing::{Event, Metadata, Subscriber, span};

use super::support::{EXCLUSIVE, Fixture, fill, get, read};
use crate::support::LoopLimit;

#[tokio::test]
async fn lease_is_synced_before_use() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    let changes = Changes::default();
    let lookup =
        tracing::subscriber::with_default(changes.clone(), || cache.begin(&"a".to_owned()));
    assert!(matches!(lookup, FolderLookup::Hit(_)));
    let changes = changes.0.lock().unwrap();
    let leases = fixture.root().join("leases").display().to_string();
    let expected = ["rename".to_owned(), format!("sync folder {leases}")];
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes[0].starts_with(&expected[0]), "{changes:?}");
    assert_eq!(changes[1], expected[1]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_keeps_the_folder() {
    let fixture = Fixture::new();
    let cache = fixture.open(EXCLUSIVE).await;
    get(&cache, "a").await.unwrap().commit().await.unwrap();
    let key = "a".to_owned();
    {
        let mut request = pin!(cache.require(&key, fill));
        let first = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "the lease is written by another thread");
    }
    let limit = LoopLimit::new();
    let handle = loop {
        limit.check();
        // Until the other thread has released it.
        match cache.begin(&key) {
            FolderLookup::Hit(handle) => break handle,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    assert_eq!((&*read(&handle), cache.len()), ("whole", 1));
    assert_eq!(fixture.counts(), [0, 1, 1, 0]);
}

/// Records the changes that the cache makes on disk.
#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Vec<String>>>);

impl Subscriber for Changes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "runtime_caching::disk"
    }

    fn event(&self, event: &Event<'_>) {
        let (mut change, mut path) = (String::new(), String::new());
        event.record(
            &mut |field: &Field, value: &dyn fmt::Debug| match field.name() {
                "change" => change = format!("{value:?}").trim_matches('"').to_owned(),
                "path" => path = format!("{value:?}"),
                _ => {}
            },
        );
        self.0.lock().unwrap().push(format!("{change} {path}"));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
