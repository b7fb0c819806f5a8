//! The registry behind its lock, with all state that trackers and disposals share with the collector.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tracing::warn;

use crate::amount::Amount;
use crate::config::GcConfig;
use crate::cost_class::CostClass;
use crate::monotonic_nanos::MonotonicNanos;
use crate::policy::PolicyInput;
use crate::registry::{ClassTotals, Entry, FootprintSum, Registry, Selection};
use crate::report::DisposalResult;
use crate::reservation::ReservedSpace;
use crate::resource::{IdleListener, ResourceId};
use crate::rule::LimitRule;
use crate::stats::Stats;
use crate::text::error_chain;

/// The number of entries visited per acquisition of the registry's lock.
const CHUNK_SIZE: usize = 1024;

/// The statistics of the system, and what they do not yet contain.
#[derive(Clone, Debug)]
pub(crate) struct SystemState {
    pub(crate) stats: Stats,
    /// The disposals in progress, whose space the statistics may count as used.
    pub(crate) in_flight: FootprintSum,
    /// The bytes of reservations that the statistics may count as free.
    pub(crate) reserved: u64,
}

#[derive(Debug)]
pub(crate) struct SharedRegistry {
    pub(crate) config: GcConfig,
    /// There is no collector, so discarded resources are disposed of here.
    pub(crate) is_detached: bool,
    registry: Mutex<Registry>,
    /// Wakes the background task.
    pub(crate) wake: Notify,
    /// The number of disposals that ended or exceeded the soft timeout.
    pub(crate) settled: watch::Sender<u64>,
    /// The results of slow disposals, for the next report.
    late_results: Mutex<Vec<DisposalResult>>,
    pub(crate) reserved: Arc<Mutex<ReservedSpace>>,
    /// One permit per concurrent disposal.
    pub(crate) disposal_permits: Semaphore,
}

impl SharedRegistry {
    pub(crate) fn new(config: GcConfig, is_detached: bool) -> Self {
        let permits = config
            .max_parallel_disposals
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            config,
            is_detached,
            registry: Mutex::default(),
            wake: Notify::new(),
            settled: watch::Sender::new(0),
            late_results: Mutex::default(),
            reserved: Arc::default(),
            disposal_permits: Semaphore::new(permits),
        }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    pub(crate) fn policy_input<'a>(
        &'a self,
        state: &'a SystemState,
        active: &'a [LimitRule],
    ) -> PolicyInput<'a> {
        PolicyInput {
            config: &self.config,
            stats: &state.stats,
            totals: self.registry().totals,
            reserved: state.reserved,
            now: MonotonicNanos::now(),
            active,
        }
    }

    /// Starts the disposal of discarded resources: by the background task or, without a collector, by
    /// separate tasks.
    pub(crate) fn request_disposal(self: &Arc<Self>) {
        if !self.is_detached {
            self.wake.notify_one();
            return;
        }
        // Unlimited: without collections few resources are due, and a selection ends at the first
        // idle one.
        let mut budget = u32::MAX;
        loop {
            let selection = self.registry().select_due(Instant::now(), &mut budget);
            let Selection::Victim(victim) = selection else {
                return;
            };
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(dispose_detached(Arc::clone(self), victim))),
                // In the destructors of a program that ends. A cache of folders removes the rest at its next start.
                Err(_) => self.remove_disposed(&victim),
            }
        }
    }

    /// Unregisters a resource after its disposal.
    pub(crate) fn remove_disposed(&self, victim: &Entry) {
        let entry = self.registry().end_disposal(victim.id);
        // The entry may hold the last reference. Its destructor is foreign code and must run without the lock.
        if let Some(entry) = entry {
            entry.resource().detach();
        }
    }

    /// Keeps the result of a disposal that no collection waits for, and wakes the background task to report it.
    pub(crate) fn add_late_result(&self, result: DisposalResult) {
        self.late_results.lock().push(result);
        self.wake.notify_one();
    }

    pub(crate) fn take_late_results(&self) -> Vec<DisposalResult> {
        std::mem::take(&mut *self.late_results.lock())
    }

    /// Visits all entries, and releases the lock at intervals so that other threads can acquire it.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Entry)) {
        let mut from = Some(0);
        while let Some(slot) = from {
            let registry = self.registry();
            let (entries, next) = registry.chunk(slot, CHUNK_SIZE);
            entries.into_iter().for_each(&mut visit);
            from = next;
        }
    }

    /// Returns whether a maximum is exceeded that can be checked without statistics.
    pub(crate) fn exceeds_maximum(&self, totals: &ClassTotals, class: CostClass) -> bool {
        [None, Some(class)].into_iter().any(|class| {
            let limits = class.map_or(&self.config.limits, |class| self.config.class(class));
            let actual = totals.of(class);
            let count = limits.max_count.map_or(0, |threshold| threshold.trigger);
            let size = match limits.max_total_size.map(|threshold| threshold.trigger) {
                Some(Amount::Absolute(size)) => size,
                // A percentage needs the size of the disk, which the next collection reads.
                Some(Amount::Percent(_)) | None => 0,
            };
            count > 0 && actual.count > count || size > 0 && actual.disk > size
        })
    }
}

impl IdleListener for SharedRegistry {
    fn on_idle(self: Arc<Self>, id: ResourceId) {
        self.registry().mark_idle(id);
        // It is watched because it was discarded, or because a collection needed it.
        self.request_disposal();
    }
}

/// Disposes of a resource without a collector, which would report a failure and retry.
async fn dispose_detached(shared: Arc<SharedRegistry>, victim: Entry) {
    // Fails only if the semaphore is closed, which it never is.
    let _permit = shared.disposal_permits.acquire().await;
    if let Err(error) = victim.disposable.dispose().await {
        let (name, error) = (victim.disposable.name(), error_chain(&error));
        warn!(%name, error, "cannot dispose of a resource");
    }
    shared.remove_disposed(&victim);
}
