//! Resources that count constructions and disposals, and a machine without statistics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use runtime_caching::Resource;
use runtime_gc::{DisposeError, Footprint, Size, Stats, SystemStats};

/// A limit for a loop of a test, which then fails instead of hanging. It is in real time, even if the test pauses its
/// clock.
pub(crate) struct LoopLimit(Instant);

impl LoopLimit {
    pub(crate) fn new() -> Self {
        Self(Instant::now() + Duration::from_secs(60))
    }

    pub(crate) fn check(&self) {
        assert!(Instant::now() < self.0, "the loop does not end");
    }
}

/// Lets other tasks run until a condition holds.
pub(crate) async fn wait_until(condition: impl Fn() -> bool) {
    let limit = LoopLimit::new();
    while !condition() {
        limit.check();
        tokio::task::yield_now().await;
    }
}

/// The numbers of constructions and disposals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    constructed: Arc<AtomicUsize>,
    disposed: Arc<AtomicUsize>,
}

impl Counts {
    pub(crate) fn construct(&self, name: &str) -> Item {
        self.constructed.fetch_add(1, Ordering::SeqCst);
        Item {
            name: name.to_owned(),
            broken: AtomicBool::new(false),
            is_disposed: AtomicBool::new(false),
            counts: self.clone(),
        }
    }

    pub(crate) fn constructed(&self) -> usize {
        self.constructed.load(Ordering::SeqCst)
    }

    pub(crate) fn disposed(&self) -> usize {
        self.disposed.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Item {
    name: String,
    broken: AtomicBool,
    is_disposed: AtomicBool,
    counts: Counts,
}

impl Item {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Resource for Item {
    fn footprint(&self) -> Footprint {
        Footprint::disk(Size::Known(10))
    }

    fn is_intact(&self) -> bool {
        !self.broken.load(Ordering::SeqCst)
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        let repeated = self.is_disposed.swap(true, Ordering::SeqCst);
        assert!(!repeated, "{} was disposed of twice", self.name);
        self.counts.disposed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A machine without statistics.
#[derive(Debug)]
pub(crate) struct NoStats;

impl SystemStats for NoStats {
    fn read(&self) -> Stats {
        Stats::default()
    }
}

pub(crate) fn machine() -> NoStats {
    NoStats
}
