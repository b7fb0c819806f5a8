//! Asking again and again until there is something to tell.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::ShutdownNotice;

/// What can be asked whether a worker must go.
#[async_trait]
pub(super) trait Oracle: Send + fmt::Debug {
    /// Asks once; `None` if there is nothing to tell, or nobody to ask.
    async fn ask(&mut self) -> Option<ShutdownNotice>;
}

/// Asks an oracle until it has a notice, and passes that on once.
#[derive(Debug)]
pub(super) struct Polled<O> {
    pub(super) oracle: O,
    /// The pause between two questions.
    pub(super) interval: Duration,
    is_told: bool,
}

impl<O: Oracle> Polled<O> {
    pub(super) fn new(oracle: O, interval: Duration) -> Self {
        Self {
            oracle,
            interval,
            is_told: false,
        }
    }

    pub(super) async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.is_told {
            if let Some(notice) = self.oracle.ask().await {
                self.is_told = true;
                return Some(notice);
            }
            tokio::time::sleep(self.interval).await;
        }
        None
    }
}
