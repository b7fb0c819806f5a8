//! Exclusive resources, and what becomes of a resource that is given back, purged or adopted.

mod support;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime_caching::{Cache, ConstructionContext, Lookup, Sharing, Uncommitted};
use runtime_gc::{GarbageCollector, GcConfig};
use support::{Counts, Item, machine};
use tokio::sync::Semaphore;

const DISPOSE: Sharing = Sharing::Exclusive(Uncommitted::Dispose);
const KEEP: Sharing = Sharing::Exclusive(Uncommitted::Keep);

struct Place {
    counts: Counts,
    gate: Arc<Semaphore>,
    collector: GarbageCollector,
    cache: Cache<&'static str, Item>,
}

impl Place {
    /// A cache whose constructor waits for a permit.
    fn gated(sharing: Sharing) -> Self {
        let (counts, gate) = (Counts::default(), Arc::new(Semaphore::new(0)));
        let make = {
            let (counts, gate) = (counts.clone(), Arc::clone(&gate));
            move |key: &'static str, _: ConstructionContext| {
                let (counts, gate) = (counts.clone(), Arc::clone(&gate));
                async move {
                    let permit = gate.acquire().await.expect("it is never closed");
                    drop(permit);
                    io::Result::Ok(counts.make(key))
                }
            }
        };
        let collector = GarbageCollector::new(GcConfig::default(), machine());
        let cache = Cache::new("items", sharing, make, collector.tracker());
        Self {
            counts,
            gate,
            collector,
            cache,
        }
    }

    fn new(sharing: Sharing) -> Self {
        let place = Self::gated(sharing);
        place.gate.add_permits(1);
        place
    }

    /// How many there are after what has to go is gone.
    async fn left(&self) -> usize {
        self.collector.collect().await;
        let left = self.cache.len();
        assert_eq!(self.counts.made() - self.counts.disposed(), left);
        left
    }
}

#[tokio::test]
async fn each_user_of_an_exclusive_key_has_a_copy_and_copies_are_used_again() {
    let place = Place::new(DISPOSE);
    let (one, two) = (
        place.cache.require(&"a").await.unwrap(),
        place.cache.require(&"a").await.unwrap(),
    );
    assert!(!std::ptr::eq(&*one, &*two));
    one.commit();
    two.commit();
    let (one, two) = (
        place.cache.require(&"a").await.unwrap(),
        place.cache.require(&"a").await.unwrap(),
    );
    assert_eq!((one.lookup(), two.lookup()), (Lookup::Hit, Lookup::Hit));
    assert_eq!(place.counts.made(), 2);
}

#[tokio::test]
async fn a_handle_that_is_dropped_without_a_commit_is_disposed_of_unless_told_otherwise() {
    for (sharing, left) in [(DISPOSE, 0), (KEEP, 1)] {
        let place = Place::new(sharing);
        drop(place.cache.require(&"a").await.unwrap());
        assert_eq!(place.left().await, left);
    }
}

#[tokio::test]
async fn a_task_that_is_aborted_takes_its_exclusive_resource_along() {
    let place = Place::new(DISPOSE);
    let cache = place.cache.clone();
    let task = tokio::spawn(async move {
        let _handle = cache.require(&"a").await.unwrap();
        std::future::pending::<()>().await;
    });
    while place.counts.made() == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(place.left().await, 0);
}

#[tokio::test]
async fn who_asks_and_gives_up_before_the_answer_spoils_nothing() {
    let place = Place::gated(DISPOSE);
    let mut asking = Box::pin(place.cache.require(&"a"));
    tokio::select! {
        biased;
        _ = &mut asking => unreachable!("the gate is shut"),
        () = tokio::task::yield_now() => {}
    }
    place.gate.add_permits(1);
    while place.counts.made() == 0 {
        tokio::task::yield_now().await;
    }
    drop(asking);
    assert_eq!(
        place.left().await,
        1,
        "it was made and nobody has changed it"
    );
    assert_eq!(
        place.cache.require(&"a").await.unwrap().lookup(),
        Lookup::Hit
    );
}

#[tokio::test]
async fn a_poisoned_resource_is_not_handed_out_again() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let place = Place::new(sharing);
        place.cache.require(&"a").await.unwrap().poison();
        assert_eq!(place.left().await, 0);
        assert_eq!(
            place.cache.require(&"a").await.unwrap().lookup(),
            Lookup::Miss
        );
    }
}

#[tokio::test]
async fn a_shared_resource_that_one_user_poisons_stays_for_the_others() {
    let place = Place::new(Sharing::Shared);
    let (one, other) = (
        place.cache.require(&"a").await.unwrap(),
        place.cache.require(&"a").await.unwrap(),
    );
    one.poison();
    place.collector.collect().await;
    assert_eq!((place.counts.disposed(), other.name()), (0, "a"));
    drop(other);
    assert_eq!(place.left().await, 0);
}

#[tokio::test]
async fn a_purge_in_the_middle_of_a_construction_takes_effect_when_it_is_given_back() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let place = Place::gated(sharing);
        let waiter = {
            let cache = place.cache.clone();
            tokio::spawn(async move { cache.require(&"a").await })
        };
        while place.cache.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(place.cache.purge(|it| it.resource.is_none()), 1);
        place.gate.add_permits(1);
        let purged = waiter.await.unwrap().unwrap();
        let fresh = place.cache.require(&"a").await.unwrap();
        assert_eq!((fresh.lookup(), place.counts.made()), (Lookup::Miss, 2));
        fresh.commit();
        purged.commit();
        assert_eq!(place.left().await, 1);
    }
}

#[tokio::test]
async fn a_purge_of_what_is_in_use_takes_effect_when_it_is_given_back() {
    for sharing in [Sharing::Shared, DISPOSE, KEEP] {
        let place = Place::new(sharing);
        let handle = place.cache.require(&"a").await.unwrap();
        assert_eq!((place.cache.purge_all(), place.cache.len()), (1, 0));
        place.collector.collect().await;
        assert_eq!((place.counts.disposed(), handle.name()), (0, "a"));
        handle.commit();
        assert_eq!(place.left().await, 0);
    }
}

#[tokio::test]
async fn a_purge_by_name_and_time_spares_the_rest() {
    let place = Place::new(Sharing::Shared);
    for key in ["a", "b"] {
        place.cache.require(&key).await.unwrap();
    }
    let second = Duration::from_secs(1);
    let now = SystemTime::now();
    assert_eq!(place.cache.purge_before(&"a", now - second), 0);
    assert_eq!(place.cache.purge_before(&"a", now + second), 1);
    assert_eq!(place.left().await, 1);
    assert_eq!(
        place.cache.require(&"b").await.unwrap().lookup(),
        Lookup::Hit
    );
}

#[tokio::test]
async fn what_is_adopted_is_as_old_as_it_says() {
    let place = Place::new(Sharing::Shared);
    let long_ago = SystemTime::now() - Duration::from_secs(86_400);
    let adopt = |idle| {
        let item = place.counts.make("a");
        place
            .cache
            .adopt("a", item, long_ago, Duration::from_secs(idle))
    };
    assert!(adopt(60));
    assert!(!adopt(5), "a shared cache has one of each");
    let text = place.collector.explain().to_string();
    assert!(text.contains("keep: idle for 60 s"), "{text}");
    assert_eq!(place.left().await, 1);
    let found = place.cache.require(&"a").await.unwrap();
    assert_eq!((found.lookup(), found.created()), (Lookup::Hit, long_ago));
}

#[tokio::test]
async fn whoever_waited_learns_how_it_was_found() {
    let place = Place::gated(Sharing::Shared);
    let (one, two) = tokio::join!(place.cache.require(&"a"), async {
        let two = place.cache.require(&"a");
        place.gate.add_permits(1);
        two.await
    });
    assert_eq!(one.unwrap().lookup(), Lookup::Miss);
    assert_eq!(two.unwrap().lookup(), Lookup::Joined);
}

#[tokio::test]
async fn a_resource_that_broke_is_a_miss_and_another_copy_is_taken() {
    let place = Place::new(DISPOSE);
    let (one, two) = (
        place.cache.require(&"a").await.unwrap(),
        place.cache.require(&"a").await.unwrap(),
    );
    one.break_it();
    one.commit();
    two.commit();
    let (first, second) = (
        place.cache.require(&"a").await.unwrap(),
        place.cache.require(&"a").await.unwrap(),
    );
    let lookups = [first.lookup(), second.lookup()];
    assert!(lookups.contains(&Lookup::Hit) && lookups.contains(&Lookup::Miss));
    assert_eq!(place.left().await, 2);
}
