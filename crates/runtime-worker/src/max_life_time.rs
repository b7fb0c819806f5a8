//! The life time of a worker as a source of shutdown requests.

use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource};
use tokio::time::{Instant, sleep_until};

/// Stops a worker gracefully after some time, so that its machine is renewed.
#[derive(Debug)]
pub struct MaxLifeTime {
    limit: Duration,
    /// `None` for a time that is never reached.
    end: Option<Instant>,
    has_notified: bool,
}

impl MaxLifeTime {
    /// Creates a source whose time starts now.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            end: Instant::now().checked_add(limit),
            has_notified: false,
        }
    }
}

#[async_trait]
impl ShutdownSource for MaxLifeTime {
    fn name(&self) -> &'static str {
        "max-life-time"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        if self.has_notified {
            return None;
        }
        sleep_until(self.end?).await;
        self.has_notified = true;
        let seconds = self.limit.as_secs();
        let reason = format!("the worker has run for {seconds} s, its maximum life time");
        Some(ShutdownNotice::graceful(reason))
    }
}
