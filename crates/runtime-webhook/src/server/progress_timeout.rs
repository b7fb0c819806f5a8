//! A timeout that restarts with each progress of a client.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_core::clock::instant_after;
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

    /// Ends the current wait, since there was progress.
    pub(super) fn reset(&mut self) {
        self.waiting_since = None;
    }

    /// Starts or continues a wait, and returns ready once it has taken too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.timer.poll(instant_after(since, self.timeout), cx)
    }

    /// Polls the timeout and returns its error, such as "no data received for 60s".
    pub(super) fn poll_error(&mut self, problem: &str, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.poll(cx).map(|()| {
            let message = format!("{problem} for {:?}", self.timeout);
            io::Error::new(io::ErrorKind::TimedOut, message)
        })
    }
}
