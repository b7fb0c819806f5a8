//! Resources in use outside this process, such as the image of a running virtual machine.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_caching::{Cache, ConstructionContext, LookupOutcome, Resource, Sharing};
use runtime_gc::{
    CollectionReport, DisposeError, Footprint, GarbageCollector, GcConfig, Size, Stats, SystemStats,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

#[derive(Debug)]
struct ImageState {
    in_use: AtomicBool,
    /// Each disposal waits for a permit.
    permits: Semaphore,
    disposed: AtomicUsize,
}

#[derive(Debug)]
struct Image(Arc<ImageState>);

#[async_trait]
impl Resource for Image {
    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Known(10))
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        let permit = self
            .0
            .permits
            .acquire()
            .await
            .expect("the semaphore is open");
        permit.forget();
        if self.0.in_use.load(Ordering::SeqCst) {
            return Err(DisposeError::InUseElsewhere);
        }
        self.0.disposed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A machine without statistics.
#[derive(Debug)]
struct NoStats;

impl SystemStats for NoStats {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

struct Fixture {
    image: Arc<ImageState>,
    collector: GarbageCollector,
    cache: Cache<&'static str, Image>,
}

impl Fixture {
    /// Creates a cache with one image that is in use elsewhere.
    async fn with_an_image() -> Self {
        let state = Arc::new(ImageState {
            in_use: AtomicBool::new(true),
            permits: Semaphore::new(0),
            disposed: AtomicUsize::new(0),
        });
        let constructed = Arc::clone(&state);
        let construct = move |_: &'static str, _: ConstructionContext| {
            let image = Image(Arc::clone(&constructed));
            async { io::Result::Ok(image) }
        };
        let collector = GarbageCollector::new(GcConfig::default(), NoStats);
        let cache = Cache::new("images", Sharing::Shared, construct, collector.tracker());
        let fixture = Self {
            image: state,
            collector,
            cache,
        };
        assert_eq!(fixture.lookup().await, LookupOutcome::Miss);
        fixture
    }

    async fn lookup(&self) -> LookupOutcome {
        self.cache.require(&"a").await.unwrap().lookup()
    }

    /// Starts a collection of everything idle, whose disposals wait for a permit.
    async fn start_collection(&self) -> JoinHandle<CollectionReport> {
        let collector = self.collector.clone();
        let collection = tokio::spawn(async move { collector.collect_all().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        collection
    }

    async fn finish_collection(&self, collection: JoinHandle<CollectionReport>) {
        self.image.permits.add_permits(1);
        assert_eq!(collection.await.unwrap().failed.len(), 1);
    }

    /// Ends the use elsewhere and collects. Returns the total number of disposals.
    async fn collect_later(&self) -> usize {
        self.image.in_use.store(false, Ordering::SeqCst);
        self.image.permits.add_permits(10);
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.collector.collect().await;
        self.image.disposed.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn in_use_elsewhere_stays_in_the_cache() {
    let fixture = Fixture::with_an_image().await;
    let collection = fixture.start_collection().await;
    fixture.finish_collection(collection).await;
    assert_eq!(fixture.lookup().await, LookupOutcome::Hit);
    assert_eq!(fixture.collect_later().await, 0, "no limit is exceeded");
    fixture.collector.collect_all().await;
    assert!(fixture.cache.is_empty());
}

#[tokio::test(start_paused = true)]
async fn replacement_evicts_the_old_resource() {
    let fixture = Fixture::with_an_image().await;
    let collection = fixture.start_collection().await;
    let other = fixture.cache.require(&"a").await.unwrap();
    assert_eq!(other.lookup(), LookupOutcome::Miss);
    fixture.finish_collection(collection).await;
    assert_eq!(fixture.cache.len(), 1);
    assert_eq!(fixture.collect_later().await, 1);
    assert_eq!(fixture.lookup().await, LookupOutcome::Hit);
}

#[tokio::test(start_paused = true)]
async fn purge_during_disposal_applies() {
    let fixture = Fixture::with_an_image().await;
    let collection = fixture.start_collection().await;
    assert_eq!(fixture.cache.purge_all(), 1);
    fixture.finish_collection(collection).await;
    assert_eq!(fixture.lookup().await, LookupOutcome::Miss);
    assert_eq!(fixture.collect_later().await, 1);
    assert_eq!(fixture.cache.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn timed_out_disposal_leaves_the_cache() {
    let fixture = Fixture::with_an_image().await;
    let collection = fixture.start_collection().await;
    tokio::time::sleep(GcConfig::default().dispose_timeout).await;
    drop(collection);
    assert!(fixture.cache.is_empty());
}
