//! One disposal, which is a task of its own.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use crate::registry::Victim;
use crate::report::{Failed, Freed, Slow};
use crate::shared::Shared;
use crate::{CollectionReport, DisposeError, EvictionReason};

/// What came of a disposal.
#[derive(Debug)]
pub(crate) enum Outcome {
    Freed(Freed),
    Failed(Failed),
    Slow(Slow),
}

impl Outcome {
    pub(super) fn enter(self, report: &mut CollectionReport) {
        match self {
            Self::Freed(freed) => report.freed.push(freed),
            Self::Failed(failed) => report.failed.push(failed),
            Self::Slow(slow) => report.slow.push(slow),
        }
    }
}

/// A claimed resource. However this ends, the resource is settled: gone, or to be tried again.
#[derive(Debug)]
pub(super) struct Disposal {
    shared: Arc<Shared>,
    victim: Victim,
    reason: EvictionReason,
    /// The collection that waits; `None` once it takes too long.
    done: Option<UnboundedSender<Outcome>>,
    is_settled: bool,
}

impl Disposal {
    pub(super) fn new(
        shared: &Arc<Shared>,
        victim: Victim,
        reason: EvictionReason,
        done: UnboundedSender<Outcome>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            victim,
            reason,
            done: Some(done),
            is_settled: false,
        }
    }

    pub(super) async fn run(mut self) {
        let (shared, disposable) = (
            Arc::clone(&self.shared),
            Arc::clone(&self.victim.disposable),
        );
        // The places are never closed.
        let place = shared.places.acquire().await;
        let limit = shared.config.dispose_timeout;
        let mut work = pin!(timeout(limit, disposable.dispose()));
        let ended = match timeout(shared.config.dispose_soft_timeout, &mut work).await {
            Ok(ended) => ended,
            Err(_) => {
                self.overdue();
                drop(place);
                work.await
            }
        };
        match ended {
            Ok(Ok(())) => self.gone(),
            Ok(Err(DisposeError::InUse)) => self.in_use_elsewhere(),
            Ok(Err(error)) => self.failed(error_chain(&error)),
            Err(_) => self.failed(format!("took longer than {limit:?}")),
        }
    }

    /// Lets the collection go on, and others have the place.
    fn overdue(&mut self) {
        self.shared.registry().overdue(self.victim.id);
        self.tell(Outcome::Slow(Slow {
            name: self.name(),
            after: self.shared.config.dispose_soft_timeout,
        }));
        self.done = None;
    }

    fn gone(&mut self) {
        let entry = self.shared.registry().disposed(self.victim.id);
        // The entry may hold the last reference, and its destructor is foreign code.
        if let Some(entry) = entry {
            entry.resource.untie();
        }
        self.settle(Outcome::Freed(Freed {
            name: self.name(),
            class: self.victim.class,
            footprint: self.victim.footprint,
            reason: self.reason,
        }));
    }

    fn in_use_elsewhere(&mut self) {
        let retry_in = self.shared.config.retry_delay(1);
        let until = Instant::now() + retry_in;
        self.shared
            .registry()
            .in_use_elsewhere(self.victim.id, until);
        self.tell_failed(error_chain(&DisposeError::InUse), 0, retry_in);
    }

    fn failed(&mut self, error: String) {
        let config = &self.shared.config;
        let retry_at = |failures| Instant::now() + config.retry_delay(failures);
        let failures = self.shared.registry().failed(self.victim.id, retry_at);
        self.tell_failed(error, failures, config.retry_delay(failures));
    }

    fn tell_failed(&mut self, error: String, failures: u32, retry_in: Duration) {
        self.settle(Outcome::Failed(Failed {
            name: self.name(),
            error,
            failures,
            retry_in,
        }));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.is_settled = true;
        self.tell(outcome);
    }

    fn tell(&self, outcome: Outcome) {
        match &self.done {
            // Nobody listens when the collection was dropped.
            Some(done) => drop(done.send(outcome)),
            None => self.shared.ended_late(outcome),
        }
        self.shared.settled.send_modify(|count| *count += 1);
    }

    fn name(&self) -> String {
        self.victim.disposable.name().into_owned()
    }
}

impl Drop for Disposal {
    fn drop(&mut self) {
        if !self.is_settled {
            let what = if std::thread::panicking() {
                "panicked"
            } else {
                "was cut off"
            };
            self.failed(format!("the disposal {what}"));
        }
    }
}

/// An error with all its causes.
fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
