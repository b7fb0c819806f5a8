//! One collection: decide, dispose, look again.

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Inner;
use super::decide::{Collection, Decision, Purpose};
use super::dispose::Disposal;
use crate::{CollectionReport, Rule};

impl Inner {
    pub(crate) async fn collect(&self) -> CollectionReport {
        self.run(Purpose::Needed).await
    }

    pub(super) async fn collect_all(&self) -> CollectionReport {
        self.shared.registry().hurry(Instant::now());
        self.run(Purpose::Everything).await
    }

    async fn run(&self, purpose: Purpose) -> CollectionReport {
        let mut collection = Collection::new(purpose);
        let mut report = CollectionReport::default();
        let last = loop {
            // Marked before the decision, so that nothing that ends after it is missed.
            let mut settled = self.shared.settled.subscribe();
            let decision = self.decide(&mut collection);
            if !decision.chosen.is_empty() {
                self.dispose(decision, &mut report).await;
            } else if decision.waits {
                // The sender lives as long as `self`.
                let _ = settled.changed().await;
            } else {
                break decision;
            }
        };
        self.finish(last, &collection, &mut report);
        report
    }

    async fn dispose(&self, decision: Decision, report: &mut CollectionReport) {
        let (done, mut outcomes) = mpsc::unbounded_channel();
        for (victim, reason) in decision.chosen {
            let disposal = Disposal::new(&self.shared, victim, reason, done.clone());
            let mut disposals = self.disposals.lock();
            // Those that have ended are only counted here: what came of them was told by themselves.
            while disposals.try_join_next().is_some() {}
            disposals.spawn(disposal.run());
        }
        drop(done);
        while let Some(outcome) = outcomes.recv().await {
            outcome.enter(report);
        }
    }

    fn finish(&self, last: Decision, collection: &Collection, report: &mut CollectionReport) {
        let late = self.shared.take_late();
        late.into_iter().for_each(|outcome| outcome.enter(report));
        report.shortages = last.demands.shortages();
        report.skipped = last.demands.skipped;
        let registry = self.shared.registry();
        (report.in_use, report.quarantined) = (registry.in_use, registry.quarantined);
        drop(registry);
        report.duration = collection.began.elapsed();
        self.tell(report);
    }

    fn tell(&self, report: &CollectionReport) {
        if !self.is_news(report) {
            return debug!(%report, "nothing has changed");
        }
        if report.failed.is_empty() && report.slow.is_empty() && complaints(report).next().is_none()
        {
            info!(%report, "collected");
        } else {
            warn!(%report, "collected, with trouble");
        }
        if let Some(listener) = &self.listener {
            listener(report);
        }
    }

    /// Whether something was done, or the complaints are not those of last time.
    fn is_news(&self, report: &CollectionReport) -> bool {
        let now: Vec<_> = complaints(report).collect();
        let mut last = self.complaints.lock();
        let changed = *last != now;
        *last = now;
        changed || !report.freed.is_empty() || !report.failed.is_empty() || !report.slow.is_empty()
    }
}

fn complaints(report: &CollectionReport) -> impl Iterator<Item = Rule> {
    let shortages = report.shortages.iter().map(|it| it.rule);
    shortages.chain(report.skipped.iter().map(|it| it.rule))
}
