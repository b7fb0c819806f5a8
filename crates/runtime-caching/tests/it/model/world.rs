//! A cache, a collector, and a model of both.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use runtime_caching::{Cache, ConstructionContext, Handle, Resource, Sharing};
use runtime_gc::{
    DisposeError, Footprint, GarbageCollector, GcConfig, Size, Stats, SystemStats, Threshold,
};
use tokio::task::yield_now;

use super::ops::{KEYS, Op, Release};
use crate::support::LoopLimit;

#[derive(Clone)]
pub(crate) struct World {
    sharing: Sharing,
    cache: Cache<u8, Item>,
    collector: GarbageCollector,
    model: Arc<Model>,
}

#[derive(Debug, Default)]
struct Model {
    /// Incremented by each construction and purge.
    clock: AtomicU64,
    /// For each key, the start of the last purge that has ended.
    purged: [AtomicU64; KEYS as usize],
    constructed: AtomicUsize,
    disposed: AtomicUsize,
    /// The seed of random failures, delays and panics.
    random: AtomicU64,
}

impl Model {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, SeqCst) + 1
    }

    /// Returns a random number below `most`, reproducible on one thread.
    fn random(&self, most: u64) -> u64 {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        fastrand::Rng::with_seed(seed).u64(..most)
    }

    async fn some_turns(&self) {
        turns(self.random(5) as u8).await;
    }
}

pub(crate) async fn turns(turns: u8) {
    for _ in 0..turns {
        yield_now().await;
    }
}

/// A resource that records its own state.
#[derive(Debug)]
struct Item {
    model: Arc<Model>,
    constructed_at: u64,
    users: AtomicUsize,
    is_broken: AtomicBool,
    is_poisoned: AtomicBool,
    is_disposed: AtomicBool,
}

#[async_trait]
impl Resource for Item {
    fn footprint(&self) -> Footprint {
        Footprint::memory(Size::Known(1))
    }

    fn is_intact(&self) -> bool {
        !self.is_broken.load(SeqCst)
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        assert_eq!(self.users.load(SeqCst), 0, "disposed of while in use");
        assert!(!self.is_disposed.load(SeqCst), "disposed of twice");
        self.model.some_turns().await;
        match self.model.random(10) {
            0 | 1 => return Err(io::Error::other("stuck").into()),
            2 => std::panic::resume_unwind(Box::new("a disposal that panics")),
            _ => {}
        }
        assert_eq!(self.users.load(SeqCst), 0, "used during its disposal");
        assert!(
            !self.is_disposed.swap(true, SeqCst),
            "disposed of twice concurrently"
        );
        self.model.disposed.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct NoStats;

impl SystemStats for NoStats {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

async fn construct(model: Arc<Model>) -> io::Result<Item> {
    let constructed_at = model.tick();
    model.some_turns().await;
    match model.random(10) {
        0 => return Err(io::Error::other("no network")),
        1 => std::panic::resume_unwind(Box::new("a constructor that panics")),
        _ => {}
    }
    model.constructed.fetch_add(1, SeqCst);
    Ok(Item {
        model,
        constructed_at,
        users: AtomicUsize::new(0),
        is_broken: AtomicBool::new(false),
        is_poisoned: AtomicBool::new(false),
        is_disposed: AtomicBool::new(false),
    })
}

impl World {
    pub(crate) fn new(sharing: Sharing, seed: u64) -> Self {
        let model = Arc::new(Model {
            random: AtomicU64::new(seed),
            ..Model::default()
        });
        let mut config = GcConfig::default();
        config.limits.max_count = Some(Threshold::at(3).target(1));
        config.retry_initial_delay = Duration::from_millis(1);
        config.retry_max_delay = Duration::from_millis(2);
        let collector = GarbageCollector::new(config, NoStats);
        let constructor = {
            let model = Arc::clone(&model);
            move |_: u8, context: ConstructionContext| {
                context.progress(0, None, "began");
                construct(Arc::clone(&model))
            }
        };
        let cache = Cache::new("items", sharing, constructor, collector.tracker());
        Self {
            sharing,
            cache,
            collector,
            model,
        }
    }

    /// Runs all tasks concurrently, then drops the cache and checks for leaks.
    pub(crate) async fn run(self, tasks: Vec<Vec<Op>>) {
        let background = self.collector.start();
        let tasks = tasks.into_iter().map(|ops| {
            let world = self.clone();
            tokio::spawn(async move {
                for op in ops {
                    world.perform(op).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("an invariant was violated");
        }
        background.stop().await;
        self.check_leaks().await;
    }

    async fn check_leaks(self) {
        let Self {
            cache,
            collector,
            model,
            ..
        } = self;
        // Until cancelled constructions have noticed.
        let limit = LoopLimit::new();
        while !cache.is_empty() {
            limit.check();
            cache.purge_all();
            yield_now().await;
        }
        drop(cache);
        for _ in 0..1_000_000 {
            // Each resource and each construction holds the model.
            if collector.tracker().count() == 0 && Arc::strong_count(&model) == 1 {
                break;
            }
            collector.collect_all().await;
            yield_now().await;
        }
        assert_eq!(
            (collector.tracker().count(), Arc::strong_count(&model)),
            (0, 1)
        );
        assert_eq!(
            model.constructed.load(SeqCst),
            model.disposed.load(SeqCst),
            "a resource was leaked"
        );
    }

    async fn perform(&self, op: Op) {
        match op {
            Op::Use {
                key,
                turns,
                release,
            } => self.use_key(key, turns, release).await,
            Op::CancelRequest { key, turns: most } => {
                tokio::select! {
                    biased;
                    handle = self.cache.require(&key) => drop(handle.map(|it| self.check(&it, 0))),
                    () = turns(most) => {}
                }
            }
            Op::Break { key } => {
                if let Ok(handle) = self.cache.require(&key).await {
                    handle.is_broken.store(true, SeqCst);
                }
            }
            Op::Purge { key } => self.purge(key..=key),
            Op::PurgeAll => self.purge(0..=KEYS - 1),
            Op::Collect => drop(self.collector.collect().await),
            Op::CollectAll => drop(self.collector.collect_all().await),
            Op::CancelCollection { turns: most } => {
                tokio::select! {
                    _ = self.collector.collect_all() => {}
                    () = turns(most) => {}
                }
            }
            Op::Yield { turns: most } => turns(most).await,
        }
    }

    async fn use_key(&self, key: u8, most: u8, release: Release) {
        let purged = self.model.purged[usize::from(key)].load(SeqCst);
        // Constructions fail at random.
        let Ok(handle) = self.cache.require(&key).await else {
            return;
        };
        self.check(&handle, purged);
        let others = handle.users.fetch_add(1, SeqCst);
        assert!(
            self.sharing == Sharing::Shared || others == 0,
            "an exclusive resource has two users"
        );
        turns(most).await;
        assert!(!handle.is_disposed.load(SeqCst), "disposed of while in use");
        handle.users.fetch_sub(1, SeqCst);
        match release {
            Release::Drop => drop(handle),
            Release::Commit => handle.commit(),
            Release::Poison => {
                if self.sharing != Sharing::Shared {
                    handle.is_poisoned.store(true, SeqCst);
                }
                handle.poison();
            }
        }
    }

    /// Checks the resource of a request that started after the purge at `purged`.
    fn check(&self, handle: &Handle<u8, Item>, purged: u64) {
        assert!(
            handle.constructed_at > purged,
            "returned after it was purged"
        );
        assert!(
            !handle.is_disposed.load(SeqCst),
            "returned after it was disposed of"
        );
        assert!(
            !handle.is_poisoned.load(SeqCst),
            "returned after it was poisoned"
        );
    }

    fn purge(&self, keys: std::ops::RangeInclusive<u8>) {
        let created = self.model.tick();
        self.cache.purge(|it| keys.contains(it.key));
        for key in keys {
            self.model.purged[usize::from(key)].fetch_max(created, SeqCst);
        }
    }
}
