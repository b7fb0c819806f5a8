//! The deadlines of a claimed run, measured so that a wrong local clock does not matter.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::Timestamp;
use runtime_core::clock::{Clock, Stopwatch, duration_until};
use runtime_core::queue::TaskClaim;

/// Interval between reclaims while the length of the claim is unknown: neither the queue nor the local clock shows it.
const DEFAULT_CLAIM_LENGTH: Duration = Duration::from_secs(60);

/// Time until the next reclaim if the last one was accepted although the deadline seems to have passed.
const DEADLINE_RECHECK: Duration = Duration::from_secs(10);

/// Measures how much of a claim and of the time until the deadline has passed.
///
/// The queue gives points in time by its own clock. Only the distances between them are used, so that the local clock
/// may be ahead or behind, and may be set while the task runs.
pub(super) struct ClaimClock {
    clock: Arc<dyn Clock>,
    /// The time from a claim or reclaim to its expiry.
    pub(super) length: Duration,
    /// The deadline of the task.
    deadline: Timestamp,
    /// Started at the claim or last reclaim.
    granted: Stopwatch,
    /// The time from the claim or last reclaim to the deadline; `None` if it seems to have passed before the claim.
    until_deadline: Option<Duration>,
}

impl ClaimClock {
    /// Starts to measure. Call it when the claim arrives.
    pub(super) fn start(claim: &TaskClaim, clock: &Arc<dyn Clock>) -> Self {
        // Without the queue's own time, the local clock has to do.
        let claimed_at = claim.started().unwrap_or_else(|| clock.now());
        let deadline = claim.task.deadline;
        Self {
            length: duration_until(claimed_at, claim.taken_until).unwrap_or(DEFAULT_CLAIM_LENGTH),
            deadline,
            granted: Stopwatch::start(Arc::clone(clock)),
            until_deadline: duration_until(claimed_at, deadline),
            clock: Arc::clone(clock),
        }
    }

    /// Starts to measure a reclaim that was sent when `granted` was started, which is the earliest time of the new
    /// claim.
    pub(super) fn renew(&mut self, granted: Stopwatch, taken_until: Timestamp) {
        self.granted = granted;
        // The time of the reclaim by the clock of the queue. It corrects a deadline that seemed to have passed because
        // the local clock was set.
        let reclaimed_at = taken_until.checked_sub(self.length).unwrap_or(taken_until);
        // The queue accepts a reclaim at the very deadline, and refuses the next one.
        let until_deadline = duration_until(reclaimed_at, self.deadline);
        self.until_deadline = Some(until_deadline.unwrap_or(DEADLINE_RECHECK));
    }

    /// Starts a stopwatch for a reclaim, before it is sent.
    pub(super) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(Arc::clone(&self.clock))
    }

    /// Returns whether the claim has expired.
    pub(super) fn has_expired(&self) -> bool {
        self.granted.elapsed() > self.length
    }

    /// Returns whether the deadline of the task has passed.
    pub(super) fn is_past_deadline(&self) -> bool {
        self.until_deadline
            .is_some_and(|until| self.granted.elapsed() >= until)
    }

    /// Waits until `margin` before the expiry of the claim, or until the deadline of the task.
    pub(super) async fn wait_until_due(&self, margin: Duration) {
        // The queue refuses every reclaim after the deadline, so one at the deadline detects it without delay.
        let deadline = self.until_deadline.unwrap_or(Duration::MAX);
        let due = self.length.saturating_sub(margin).min(deadline);
        self.granted.wait(due).await;
    }

    /// Waits until `grace` after the expiry of the claim.
    pub(super) async fn wait_until_expired(&self, grace: Duration) {
        // Counted from now at the earliest: after a suspend of the machine the claim may have expired hours ago, and
        // the network needs a moment to return.
        let remaining = self.length.saturating_sub(self.granted.elapsed());
        self.stopwatch().wait(remaining.saturating_add(grace)).await;
    }
}
