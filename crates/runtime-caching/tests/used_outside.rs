//! Resources that something outside of this process uses, as a virtual machine uses an image.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_caching::{Cache, ConstructionContext, Lookup, Resource, Sharing};
use runtime_gc::{
    CollectionReport, DisposeError, Footprint, GarbageCollector, GcConfig, Size, Stats, SystemStats,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

#[derive(Debug)]
struct Outside {
    uses: AtomicBool,
    /// A disposal waits for a permit of this.
    gate: Semaphore,
    disposed: AtomicUsize,
}

#[derive(Debug)]
struct Image(Arc<Outside>);

#[async_trait]
impl Resource for Image {
    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Known(10))
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        let permit = self.0.gate.acquire().await.expect("it is never closed");
        permit.forget();
        if self.0.uses.load(Ordering::SeqCst) {
            return Err(DisposeError::InUse);
        }
        self.0.disposed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A machine that tells nothing.
#[derive(Debug)]
struct Idle;

impl SystemStats for Idle {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

struct Place {
    outside: Arc<Outside>,
    collector: GarbageCollector,
    cache: Cache<&'static str, Image>,
}

impl Place {
    /// A cache with one image, which something outside uses.
    async fn with_an_image() -> Self {
        let outside = Arc::new(Outside {
            uses: AtomicBool::new(true),
            gate: Semaphore::new(0),
            disposed: AtomicUsize::new(0),
        });
        let images = Arc::clone(&outside);
        let make = move |_: &'static str, _: ConstructionContext| {
            let image = Image(Arc::clone(&images));
            async { io::Result::Ok(image) }
        };
        let collector = GarbageCollector::new(GcConfig::default(), Idle);
        let cache = Cache::new("images", Sharing::Shared, make, collector.tracker());
        let place = Self {
            outside,
            collector,
            cache,
        };
        assert_eq!(place.lookup().await, Lookup::Miss);
        place
    }

    async fn lookup(&self) -> Lookup {
        self.cache.require(&"a").await.unwrap().lookup()
    }

    /// Begins a collection of everything that is idle, which waits at the gate.
    async fn begin_to_collect(&self) -> JoinHandle<CollectionReport> {
        let collector = self.collector.clone();
        let collection = tokio::spawn(async move { collector.collect_all().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        collection
    }

    async fn end(&self, collection: JoinHandle<CollectionReport>) {
        self.outside.gate.add_permits(1);
        assert_eq!(collection.await.unwrap().failed.len(), 1);
    }

    /// Collects what is due once nothing outside uses anything any more. Returns how many went in all.
    async fn collect_later(&self) -> usize {
        self.outside.uses.store(false, Ordering::SeqCst);
        self.outside.gate.add_permits(10);
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.collector.collect().await;
        self.outside.disposed.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn what_something_outside_uses_stays_in_the_cache() {
    let place = Place::with_an_image().await;
    let collection = place.begin_to_collect().await;
    place.end(collection).await;
    assert_eq!(place.lookup().await, Lookup::Hit);
    assert_eq!(place.collect_later().await, 0, "nothing needs it to go");
    place.collector.collect_all().await;
    assert!(place.cache.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_made_again_meanwhile_takes_its_place() {
    let place = Place::with_an_image().await;
    let collection = place.begin_to_collect().await;
    let other = place.cache.require(&"a").await.unwrap();
    assert_eq!(other.lookup(), Lookup::Miss);
    place.end(collection).await;
    assert_eq!(place.cache.len(), 1);
    assert_eq!(place.collect_later().await, 1);
    assert_eq!(place.lookup().await, Lookup::Hit);
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_meanwhile_does_not_come_back() {
    let place = Place::with_an_image().await;
    let collection = place.begin_to_collect().await;
    assert_eq!(place.cache.purge_all(), 1);
    place.end(collection).await;
    assert_eq!(place.lookup().await, Lookup::Miss);
    assert_eq!(place.collect_later().await, 1);
    assert_eq!(place.cache.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_go_in_time_is_out_of_the_cache() {
    let place = Place::with_an_image().await;
    let collection = place.begin_to_collect().await;
    tokio::time::sleep(GcConfig::default().dispose_timeout).await;
    drop(collection);
    assert!(place.cache.is_empty());
}
