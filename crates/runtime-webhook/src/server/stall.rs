//! How long something has been waiting for a client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Runs while something waits, and is ready once that took too long.
#[derive(Debug)]
pub(super) struct Stall {
    timeout: Duration,
    /// Made when something has to wait for the first time, which most connections never see.
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Stall {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            timer: None,
            is_running: false,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The wait is over.
    pub(super) fn clear(&mut self) {
        self.is_running = false;
    }

    /// Goes on to wait.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if !self.is_running {
            timer.as_mut().reset(Instant::now() + timeout);
            self.is_running = true;
        }
        timer.as_mut().poll(cx)
    }
}
