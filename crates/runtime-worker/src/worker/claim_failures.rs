//! Logs failed claims once, and then summarizes them.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::{ApiError, Monitor, error_chain};
use tokio::time::Instant;

/// The interval of summaries while claims fail.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(300);

/// The failed claims since the last successful one.
#[derive(Default)]
pub(super) struct ClaimFailures(Mutex<Option<FailureSeries>>);

struct FailureSeries {
    kind: FailureKind,
    count: u64,
    since: Instant,
    logged: Instant,
}

/// The kind of error and the status. The texts of repeated errors differ in their request ids.
type FailureKind = (Discriminant<ApiError>, Option<u16>);

enum LogDecision {
    /// The first failure of its kind.
    First,
    /// One shortly after another that was logged.
    Recent,
    Due {
        count: u64,
        elapsed: Duration,
    },
}

impl ClaimFailures {
    /// Logs a failure as a warning if it is the first one of its kind, and every five minutes with their number.
    ///
    /// A line per attempt, every few seconds, would fill the log for as long as the queue is away.
    pub(super) fn failure(&self, error: &ApiError, monitor: &Monitor) {
        let summary = self.add((discriminant(error), error.status()));
        let error = error_chain(error);
        match summary {
            LogDecision::First => monitor.warn(format_args!("cannot claim, retrying: {error}")),
            LogDecision::Recent => monitor.debug(format_args!("cannot claim: {error}")),
            LogDecision::Due { count, elapsed } => monitor.warn(format_args!(
                "still cannot claim, {count} failures in {} min: {error}",
                elapsed.as_secs() / 60
            )),
        }
    }

    /// Counts a failure, and decides under the lock what is logged after its release.
    fn add(&self, kind: FailureKind) -> LogDecision {
        let now = Instant::now();
        let mut series = self.0.lock();
        let Some(series) = series.as_mut().filter(|series| series.kind == kind) else {
            *series = Some(FailureSeries {
                kind,
                count: 1,
                since: now,
                logged: now,
            });
            return LogDecision::First;
        };
        series.count += 1;
        if now - series.logged < SUMMARY_INTERVAL {
            return LogDecision::Recent;
        }
        series.logged = now;
        LogDecision::Due {
            count: series.count,
            elapsed: now - series.since,
        }
    }

    /// Logs the end of a series of failures.
    pub(super) fn success(&self, monitor: &Monitor) {
        let ended = self.0.lock().take();
        if let Some(FailureSeries { count, since, .. }) = ended {
            let seconds = since.elapsed().as_secs();
            monitor.info(format_args!(
                "claiming again after {count} failures in {seconds} s"
            ));
        }
    }
}
