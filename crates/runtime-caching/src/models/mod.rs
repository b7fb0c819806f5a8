//! Loom models of single flight: all interleavings of accesses to the map and to the result of a construction.
//!
//! Each model states one property and the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

pub(crate) mod loom_shims;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use loom::future::block_on;
use loom::thread;
use runtime_gc::{DisposeError, Footprint, ResourceTracker};

use crate::cache::Cache;
use crate::constructor::ConstructionContext;
use crate::resource::Resource;
use crate::sharing::Sharing;
use crate::single_flight::{ANY_SOURCE, MapLookup};
use crate::sys::spawn;

#[derive(Debug)]
struct Item;

#[async_trait]
impl Resource for Item {
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        Ok(())
    }
}

/// Creates a cache whose constructions need two polls, and a count of finished constructions.
fn cache(sharing: Sharing) -> (Cache<u8, Item>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let make = {
        let made = Arc::clone(&made);
        move |_: u8, _: ConstructionContext| {
            let made = Arc::clone(&made);
            async move {
                yield_once().await;
                made.fetch_add(1, SeqCst);
                io::Result::Ok(Item)
            }
        }
    };
    (
        Cache::new("model", sharing, make, ResourceTracker::detached()),
        made,
    )
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Enough for the races in question. Without a bound, the models take hours.
    builder.preemption_bound = Some(2);
    builder.check(check);
}

/// Concurrent requests get the same resource. Catches: a lookup and an insertion under two acquisitions of the
/// lock, and a result that is sent before the entry is in the map.
#[test]
fn concurrent_requests_share_a_construction() {
    model(|| {
        let (cache, made) = cache(Sharing::Shared);
        let other = thread::spawn({
            let cache = cache.clone();
            move || drop(block_on(cache.require(&1)).unwrap())
        });
        drop(block_on(cache.require(&1)).unwrap());
        other.join().unwrap();
        assert_eq!((made.load(SeqCst), cache.len()), (1, 1));
    });
}

/// A waiter that leaves while another joins does not cancel the construction, and the other gets its result. Catches:
/// counting the waiters without the shard's lock.
#[test]
fn leaving_waiter_does_not_cancel_for_others() {
    model(|| {
        let (cache, _) = cache(Sharing::Shared);
        let leaving = thread::spawn({
            let cache = cache.clone();
            move || {
                let mut request = Box::pin(cache.require(&1));
                let mut cx = Context::from_waker(Waker::noop());
                let _ = request.as_mut().poll(&mut cx);
            }
        });
        // Not by `require`, which would begin again if the construction was cancelled.
        if let MapLookup::Joined(waiter) = cache.map.begin(&1, ANY_SOURCE) {
            let handle = block_on(cache.map.wait(waiter, |_| {})).unwrap();
            assert!(handle.is_some(), "cancelled with a waiter");
        }
        leaving.join().unwrap();
    });
}

/// A purged construction does not add its resource to the cache. Catches: a `finish` that inserts the entry even
/// if the construction is no longer in the map.
#[test]
fn purge_during_construction_applies() {
    model(|| {
        let (cache, _) = cache(Sharing::Shared);
        let purging = thread::spawn({
            let cache = cache.clone();
            move || cache.purge_all()
        });
        drop(block_on(cache.require(&1)).unwrap());
        let purged = purging.join().unwrap();
        assert_eq!(cache.len() + purged, 1);
    });
}

/// Two sources of a key construct independently, and one resource remains in the cache. Catches: a `finish` that does
/// not look for an entry of the key, and a `finish` that does so under another acquisition of the lock.
#[test]
fn one_resource_of_two_sources_stays() {
    model(|| {
        let (cache, _) = cache(Sharing::Shared);
        let other = thread::spawn({
            let cache = cache.clone();
            move || block_on(require_from(&cache, "b"))
        });
        block_on(require_from(&cache, "a"));
        other.join().unwrap();
        assert_eq!(cache.len(), 1);
    });
}

/// Requests a resource that needs two polls from `source`.
async fn require_from(cache: &Cache<u8, Item>, source: &str) {
    let map = &cache.map;
    let waiter = match map.begin(&1, source) {
        MapLookup::Hit(_) => return,
        MapLookup::Joined(_) => unreachable!("each source has one request"),
        MapLookup::New(task, waiter) => {
            spawn(task.run(async {
                yield_once().await;
                Ok(Item)
            }));
            waiter
        }
    };
    map.wait(waiter, |_| {}).await.unwrap().unwrap();
}
