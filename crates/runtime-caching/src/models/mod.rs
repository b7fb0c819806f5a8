//! Models of how a construction is handed over, under loom: every order of every access to the map and
//! to the outcome that waiters wait for.
//!
//! A model states one property and names the weakening of the code that makes it fail. Run them with
//! `cargo xtask loom`.

pub(crate) mod stand_in;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use loom::future::block_on;
use loom::thread;
use runtime_gc::{DisposeError, Footprint, ResourceTracker};

use crate::{Cache, ConstructionContext, Resource, Sharing};

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

/// A cache whose constructions need two polls, and how many have ended.
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
    // Enough for the races that the models are about; without a bound they take hours.
    builder.preemption_bound = Some(2);
    builder.check(check);
}

/// Everybody who asks for a key gets the one resource that is made. Catches: looking for a construction and
/// entering a new one under two locks, and telling the outcome before the entry is in the map.
#[test]
fn all_who_ask_get_the_same() {
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

/// One who leaves while another joins does not take the construction along. Catches: a look at the number
/// of waiters outside of the map's lock, and one that is not repeated under it.
#[test]
fn one_who_leaves_cancels_nothing_for_who_joins() {
    model(|| {
        let (cache, made) = cache(Sharing::Shared);
        let leaving = thread::spawn({
            let cache = cache.clone();
            move || {
                let mut asking = Box::pin(cache.require(&1));
                let mut cx = Context::from_waker(Waker::noop());
                let _ = asking.as_mut().poll(&mut cx);
            }
        });
        drop(block_on(cache.require(&1)).unwrap());
        leaving.join().unwrap();
        assert!(made.load(SeqCst) >= 1);
    });
}

/// What is purged while it is made does not come back. Catches: a `finish` that enters the map whether or
/// not the construction is still in it.
#[test]
fn a_purge_is_not_lost() {
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
