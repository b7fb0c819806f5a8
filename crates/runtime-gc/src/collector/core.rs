//! The state of a collector. Its operations are in the sibling modules.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::config::GcConfig;
use crate::report::CollectionReport;
use crate::rule::LimitRule;
use crate::shared::{SharedRegistry, SystemState};
use crate::stats::SystemStats;

pub(super) type Listener = Box<dyn Fn(&CollectionReport) + Send + Sync>;

pub(super) struct Collector {
    pub(super) shared: Arc<SharedRegistry>,
    pub(super) stats_source: Box<dyn SystemStats>,
    pub(super) listener: Option<Listener>,
    /// The shortages and skipped rules of the last report, so that a full disk is logged once.
    pub(super) last_problems: Mutex<Vec<LimitRule>>,
    /// The running disposals, which continue when their collection is dropped.
    pub(super) disposals: Mutex<JoinSet<()>>,
    decision: Mutex<()>,
}

impl Collector {
    pub(super) fn new(
        config: GcConfig,
        stats_source: Box<dyn SystemStats>,
        listener: Option<Listener>,
    ) -> Self {
        Self {
            shared: Arc::new(SharedRegistry::new(config, false)),
            stats_source,
            listener,
            last_problems: Mutex::default(),
            disposals: Mutex::default(),
            decision: Mutex::default(),
        }
    }

    /// Reads the statistics and runs `decide` with them, one decision at a time.
    ///
    /// Two concurrent decisions would both evaluate the same shortage and evict twice as much as needed.
    pub(super) fn with_state<T>(&self, decide: impl FnOnce(&SystemState) -> T) -> T {
        loop {
            let ended = self.shared.registry().ended_disposals;
            let reserved = *self.shared.reserved.lock();
            // Outside of the lock, since the source is foreign code.
            let stats = self.stats_source.read();
            let _decision = self.decision.lock();
            // A disposal that ended since the statistics were read is missing in them and in the sum of
            // disposals in progress, so its space would be freed again by another eviction. Read again. The sum is
            // copied under the same lock as the check: a disposal that ends later is part of it.
            let in_flight = self.shared.registry().in_flight_since(ended);
            if let Some(in_flight) = in_flight {
                let reserved = self.shared.reserved.lock().unwritten_since(reserved);
                return decide(&SystemState {
                    stats,
                    in_flight,
                    reserved,
                });
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Resources often hold a tracker, so the cycle from the registry to them must be broken here.
        let entries = self.shared.registry().clear();
        entries.iter().for_each(|entry| entry.resource().detach());
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GarbageCollector")
            .field("config", &self.shared.config)
            .field("stats_source", &self.stats_source)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::cost_class::CostClass;
    use crate::disposable::{Disposable, DisposeError};
    use crate::footprint::{Footprint, Size};
    use crate::registry::{Entry, Selection};
    use crate::reservation::Reservation;
    use crate::resource::DisposableResource;
    use crate::stats::Stats;

    #[derive(Debug, Default)]
    struct Folder(DisposableResource);

    #[async_trait]
    impl Disposable for Folder {
        fn resource(&self) -> &DisposableResource {
            &self.0
        }

        fn footprint(&self) -> Footprint {
            Footprint::disk(Size::Known(100))
        }

        async fn dispose(&self) -> Result<(), DisposeError> {
            Ok(())
        }
    }

    /// Statistics during whose first read a disposal ends.
    #[derive(Clone, Debug, Default)]
    struct Overtaken {
        disposal: Arc<OnceLock<(Arc<SharedRegistry>, Entry)>>,
        reads: Arc<AtomicUsize>,
    }

    impl SystemStats for Overtaken {
        fn read(&self) -> Stats {
            if self.reads.fetch_add(1, Ordering::Relaxed) == 0
                && let Some((shared, victim)) = self.disposal.get()
            {
                shared.remove_disposed(victim);
            }
            Stats::default()
        }
    }

    /// Starts a disposal.
    fn victim(collector: &Collector) -> Entry {
        let folder = Arc::new(Folder::default());
        let mut registry = collector.shared.registry();
        let footprint = folder.footprint();
        let id = registry.insert(folder, CostClass::Moderate, footprint);
        assert!(registry.discard(id));
        match registry.select_due(tokio::time::Instant::now(), &mut 10) {
            Selection::Victim(victim) => victim,
            _ => panic!("nothing is due"),
        }
    }

    #[test]
    fn outdated_statistics_are_read_again() {
        let source = Overtaken::default();
        let collector = Collector::new(GcConfig::default(), Box::new(source.clone()), None);
        let disposal = (Arc::clone(&collector.shared), victim(&collector));
        assert!(source.disposal.set(disposal).is_ok());
        let in_flight = collector.with_state(|state| state.in_flight.count);
        assert_eq!((source.reads.load(Ordering::Relaxed), in_flight), (2, 0));
    }

    /// Statistics during whose read all reserved bytes are written.
    #[derive(Clone, Debug, Default)]
    struct Filled(Arc<Mutex<Option<Reservation>>>);

    impl SystemStats for Filled {
        fn read(&self) -> Stats {
            if let Some(reservation) = &mut *self.0.lock() {
                reservation.record_written(reservation.bytes());
            }
            Stats::default()
        }
    }

    #[test]
    fn bytes_written_during_a_reading_are_not_free() {
        let source = Filled::default();
        let collector = Collector::new(GcConfig::default(), Box::new(source.clone()), None);
        let reserve = |bytes| Reservation::new(&collector.shared.reserved, bytes);
        let _other = reserve(7);
        *source.0.lock() = Some(reserve(300));
        let reserved = || collector.with_state(|state| state.reserved);
        assert_eq!((reserved(), reserved()), (307, 7));
    }

    #[test]
    fn disposal_that_ends_during_a_decision_counts() {
        let source = Overtaken::default();
        let collector = Collector::new(GcConfig::default(), Box::new(source), None);
        let victim = victim(&collector);
        let in_flight = collector.with_state(|state| {
            collector.shared.remove_disposed(&victim);
            state.in_flight.count
        });
        assert_eq!(in_flight, 1);
    }
}
