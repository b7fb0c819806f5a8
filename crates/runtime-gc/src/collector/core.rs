//! The state of a collector. Its operations are in the sibling modules.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::config::GcConfig;
use crate::report::CollectionReport;
use crate::rule::LimitRule;
use crate::shared::SharedRegistry;
use crate::stats::{Stats, SystemStats};

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
    pub(super) fn with_stats<T>(&self, decide: impl FnOnce(&Stats) -> T) -> T {
        loop {
            let settled = *self.shared.settled.borrow();
            // Outside of the lock, since the source is foreign code.
            let stats = self.stats_source.read();
            let _decision = self.decision.lock();
            // A disposal that ended since the statistics were read is missing in them and in the sum of
            // disposals in progress, so its space would be freed again by another eviction. Read again.
            if settled == *self.shared.settled.borrow() {
                return decide(&stats);
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

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Statistics during whose first read a disposal ends.
    #[derive(Clone, Debug, Default)]
    struct Overtaken {
        shared: Arc<OnceLock<Arc<SharedRegistry>>>,
        reads: Arc<AtomicUsize>,
    }

    impl SystemStats for Overtaken {
        fn read(&self) -> Stats {
            if self.reads.fetch_add(1, Ordering::Relaxed) == 0
                && let Some(shared) = self.shared.get()
            {
                shared.settled.send_modify(|count| *count += 1);
            }
            Stats::default()
        }
    }

    #[test]
    fn outdated_statistics_are_read_again() {
        let source = Overtaken::default();
        let collector = Collector::new(GcConfig::default(), Box::new(source.clone()), None);
        let first = source.shared.set(Arc::clone(&collector.shared));
        assert!(first.is_ok());
        let mut decisions = 0;
        collector.with_stats(|_| decisions += 1);
        assert_eq!((source.reads.load(Ordering::Relaxed), decisions), (2, 1));
    }
}
