//! How long something has been waiting for a client.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::alarm::Alarm;

/// Runs while something waits, and is ready once that took too long.
#[derive(Debug)]
pub(super) struct Stall {
    timeout: Duration,
    since: Option<Instant>,
    alarm: Alarm,
}

impl Stall {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            since: None,
            alarm: Alarm::default(),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The wait is over.
    pub(super) fn clear(&mut self) {
        self.since = None;
    }

    /// Goes on to wait.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.alarm.poll(since + self.timeout, cx)
    }
}
