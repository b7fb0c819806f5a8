//! The handle of a collector, which the worker owns.

use std::fmt;
use std::sync::Arc;

use super::background::BackgroundCollector;
use super::core::Collector;
use super::tracker::ResourceTracker;
use crate::config::GcConfig;
use crate::plan::CollectionPlan;
use crate::report::CollectionReport;
use crate::reservation::{Reservation, ReserveError};
use crate::shared::SystemState;
use crate::stats::SystemStats;

/// Disposes of idle resources when a limit is exceeded. Clones share the collector.
///
/// Collections run only on request: call [`collect`](Self::collect), or [`start`](Self::start) the background
/// task. When the last clone is dropped, running disposals are cancelled and all resources are
/// unregistered.
///
/// Any number of collections may run concurrently. Each takes the disposals of the others into account.
#[derive(Clone)]
pub struct GarbageCollector {
    collector: Arc<Collector>,
}

impl GarbageCollector {
    /// Creates a collector that compares the limits of `config` with the statistics of `stats_source`.
    pub fn new(config: GcConfig, stats_source: impl SystemStats) -> Self {
        let collector = Arc::new(Collector::new(config, Box::new(stats_source), None));
        Self { collector }
    }

    /// Creates a collector that passes each report with news to `listener`.
    ///
    /// A report has news if a resource was freed or could not be freed, or if the set of exceeded or skipped
    /// limits has changed. A disk that stays full is thus reported once, however many collections run.
    ///
    /// The listener runs on the collecting task and should return quickly.
    pub fn with_listener(
        config: GcConfig,
        stats_source: impl SystemStats,
        listener: impl Fn(&CollectionReport) + Send + Sync + 'static,
    ) -> Self {
        let (stats_source, listener) = (Box::new(stats_source), Box::new(listener));
        let collector = Arc::new(Collector::new(config, stats_source, Some(listener)));
        Self { collector }
    }

    /// Returns the tracker for engines, plugins and caches.
    #[must_use]
    pub fn tracker(&self) -> ResourceTracker {
        ResourceTracker::new(&self.collector)
    }

    /// Evicts idle resources until each exceeded limit reaches its target, and disposes of discarded resources.
    ///
    /// Returns when all limits hold or nothing more can be evicted. A failed disposal does not end the
    /// collection.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is a resource to dispose of.
    ///
    /// # Cancel safety
    ///
    /// Disposals in progress continue. Their results are not reported, but failed ones are retried.
    pub async fn collect(&self) -> CollectionReport {
        self.collector.collect().await
    }

    /// Disposes of all idle resources regardless of limits. For tests and for the shutdown of a worker.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is a resource to dispose of.
    ///
    /// # Cancel safety
    ///
    /// Disposals in progress continue. Their results are not reported, but failed ones are retried.
    pub async fn collect_all(&self) -> CollectionReport {
        self.collector.collect_all().await
    }

    /// Reserves disk space before a write, and evicts idle resources for it if needed.
    ///
    /// The minimum of free disk applies in addition to all reservations. A request that cannot be met even by
    /// the eviction of all idle resources fails immediately and evicts nothing. If disk statistics are not
    /// available, the request succeeds.
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the space cannot be freed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is a resource to dispose of.
    ///
    /// # Cancel safety
    ///
    /// A dropped future reserves nothing. Resources evicted by then stay evicted.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.collector.reserve(bytes).await
    }

    /// Returns the actions that a collection would take now, in order, and the reasons.
    ///
    /// Takes time proportional to the number of resources, and does not block other operations.
    #[must_use]
    pub fn explain(&self) -> CollectionPlan {
        let collector = &self.collector;
        let state = collector.with_state(SystemState::clone);
        CollectionPlan::new(&collector.shared, &state)
    }

    /// Starts a background task that collects at the configured interval, on request, and at each retry of a
    /// failed disposal.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the background task ends when this is dropped"]
    pub fn start(&self) -> BackgroundCollector {
        BackgroundCollector::start(Arc::clone(&self.collector))
    }
}

impl fmt::Debug for GarbageCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.collector.fmt(f)
    }
}
