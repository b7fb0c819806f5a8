//! What trackers, disposals and the collector share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore, watch};

use crate::collector::Outcome;
use crate::config::GcConfig;
use crate::registry::{ClassTotals, Entry, Registry};
use crate::{Amount, CostClass, ResourceId};

/// How many entries are shown before others get the lock.
const CHUNK: usize = 1024;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: GcConfig,
    registry: Mutex<Registry>,
    /// Wakes the background task.
    pub(crate) trigger: Notify,
    /// Counts the disposals that have ended, in whatever way, or are not counted on any more.
    pub(crate) settled: watch::Sender<u64>,
    /// How slow disposals have ended, for the next report.
    late: Mutex<Vec<Outcome>>,
    /// Bytes on disk that somebody was promised and has not written yet.
    pub(crate) reserved: Arc<AtomicU64>,
    /// A place for each disposal that may run at a time.
    pub(crate) places: Semaphore,
}

impl Shared {
    pub(crate) fn new(config: GcConfig) -> Self {
        let places = Semaphore::new(
            config
                .max_parallel_disposals
                .clamp(1, Semaphore::MAX_PERMITS),
        );
        Self {
            config,
            registry: Mutex::default(),
            trigger: Notify::new(),
            settled: watch::Sender::new(0),
            late: Mutex::default(),
            reserved: Arc::default(),
            places,
        }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    /// Keeps how a disposal ended that no collection waits for, and has the background task tell.
    pub(crate) fn ended_late(&self, outcome: Outcome) {
        self.late.lock().push(outcome);
        self.trigger.notify_one();
    }

    pub(crate) fn take_late(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.late.lock())
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// Shows each entry, and lets others have the lock now and then.
    pub(crate) fn look(&self, mut see: impl FnMut(&Entry)) {
        let mut from = Some(0);
        while let Some(slot) = from {
            let registry = self.registry();
            let (entries, next) = registry.chunk(slot, CHUNK);
            entries.into_iter().for_each(&mut see);
            from = next;
        }
    }

    /// A watched resource has lost its last user.
    pub(crate) fn idle(&self, id: ResourceId) {
        self.registry().idle(id);
        // It is watched because it is to go, or because a collection wanted it and could not have it.
        self.trigger.notify_one();
    }

    /// Whether a ceiling is passed that can be judged without asking the system.
    pub(crate) fn is_over_ceiling(&self, totals: &ClassTotals, class: CostClass) -> bool {
        [None, Some(class)].into_iter().any(|class| {
            let limits = class.map_or(&self.config.limits, |class| self.config.class(class));
            let have = totals.of(class);
            let count = limits.max_count.filter(|threshold| threshold.trigger > 0);
            let size = limits.max_total_size.map(|threshold| threshold.trigger);
            count.is_some_and(|threshold| have.count > threshold.trigger)
                || matches!(size, Some(Amount::Absolute(most)) if most > 0 && have.disk > most)
        })
    }
}
