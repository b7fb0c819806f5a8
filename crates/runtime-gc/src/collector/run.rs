//! One collection: decides and disposes until the limits hold, then reports.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::core::Collector;
use super::decide::{Collection, Decision, Purpose};
use super::dispose::Disposal;
use crate::report::CollectionReport;
use crate::rule::LimitRule;

impl Collector {
    pub(super) async fn collect(&self) -> CollectionReport {
        self.run(Purpose::MeetLimits).await
    }

    pub(super) async fn collect_all(&self) -> CollectionReport {
        self.shared.registry().expedite_retries(Instant::now());
        self.run(Purpose::EvictEverything).await
    }

    async fn run(&self, purpose: Purpose) -> CollectionReport {
        let mut collection = Collection::new(purpose);
        let mut report = CollectionReport::default();
        let last = loop {
            // Subscribed before the decision, so that no disposal that ends after it is missed.
            let mut settled = self.shared.settled.subscribe();
            let decision = self.decide(&mut collection);
            if !decision.victims.is_empty() {
                self.dispose(decision, &mut report).await;
            } else if decision.must_wait {
                // Fails only if the sender is dropped, which lives as long as `self`.
                let _ = settled.changed().await;
            } else {
                break decision;
            }
        };
        self.complete(last, &collection, &mut report);
        report
    }

    /// Runs the disposals of a decision until each has ended or exceeded the soft timeout.
    async fn dispose(&self, decision: Decision, report: &mut CollectionReport) {
        // Disposals send their results, since the collection cannot own their tasks: they outlive it when it is
        // dropped or when they exceed the soft timeout.
        let (sender, mut results) = mpsc::unbounded_channel();
        for (victim, reason) in decision.victims {
            let disposal = Disposal::new(&self.shared, victim, reason, sender.clone());
            let mut disposals = self.disposals.lock();
            // Removes ended tasks from the set. Their results were sent through the channel.
            while disposals.try_join_next().is_some() {}
            disposals.spawn(disposal.run());
        }
        // Otherwise the channel would never close.
        drop(sender);
        while let Some(result) = results.recv().await {
            report.add(result);
        }
    }

    fn complete(&self, last: Decision, collection: &Collection, report: &mut CollectionReport) {
        let late = self.shared.take_late_results();
        late.into_iter().for_each(|result| report.add(result));
        // The last decision found nothing to evict, so its shortages remain.
        report.shortages = last.evaluation.shortages();
        report.skipped = last.evaluation.skipped;
        let registry = self.shared.registry();
        (report.in_use, report.quarantined) = (registry.in_use, registry.quarantined);
        drop(registry);
        report.duration = collection.started.elapsed();
        self.publish(report);
    }

    /// Logs a report that has news and passes it to the listener.
    fn publish(&self, report: &CollectionReport) {
        if !self.has_news(report) {
            return debug!(%report, "collection found no change");
        }
        if report.failed.is_empty() && report.slow.is_empty() && problems(report).next().is_none() {
            info!(%report, "collection finished");
        } else {
            warn!(%report, "collection finished with problems");
        }
        if let Some(listener) = &self.listener {
            // The listener only watches: its panic must not end the collection or the background task.
            if catch_unwind(AssertUnwindSafe(|| listener(report))).is_err() {
                error!("the listener of the collector panicked");
            }
        }
    }

    /// Returns whether there were disposals, or the problems differ from those of the last report.
    ///
    /// The background task runs each minute, and would otherwise log the same full disk each time.
    fn has_news(&self, report: &CollectionReport) -> bool {
        let problems: Vec<_> = problems(report).collect();
        let mut last = self.last_problems.lock();
        let changed = *last != problems;
        *last = problems;
        changed || !report.freed.is_empty() || !report.failed.is_empty() || !report.slow.is_empty()
    }
}

fn problems(report: &CollectionReport) -> impl Iterator<Item = LimitRule> {
    let shortages = report.shortages.iter().map(|it| it.rule);
    shortages.chain(report.skipped.iter().map(|it| it.rule))
}
