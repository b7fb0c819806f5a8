//! A timeout that restarts with each progress of a client.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::lazy_timer::LazyTimer;

/// Measures the current wait and expires when it takes longer than the timeout.
#[derive(Debug)]
pub(super) struct ProgressTimeout {
    timeout: Duration,
    waiting_since: Option<Instant>,
    timer: LazyTimer,
}

impl ProgressTimeout {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting_since: None,
            timer: LazyTimer::default(),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Ends the current wait, since there was progress.
    pub(super) fn reset(&mut self) {
        self.waiting_since = None;
    }

    /// Starts or continues a wait, and returns ready once it has taken too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.timer.poll(since + self.timeout, cx)
    }
}
