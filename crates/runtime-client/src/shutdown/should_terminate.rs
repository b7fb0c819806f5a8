//! The worker manager as a shutdown source.

use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource, error_chain};

use crate::client::Client;
use crate::services::worker_manager::WorkerName;

/// Polls `shouldWorkerTerminate`. The shutdown is graceful: running tasks may finish.
#[derive(Debug)]
pub struct ShouldTerminateSource {
    client: Client,
    worker: WorkerName,
    interval: Duration,
    has_notified: bool,
}

impl ShouldTerminateSource {
    /// Creates a source that asks about `worker` every five minutes, with the credentials of `client`.
    #[must_use]
    pub fn new(client: Client, worker: WorkerName) -> Self {
        Self {
            client,
            worker,
            interval: Duration::from_secs(300),
            has_notified: false,
        }
    }

    /// Sets the time between two requests.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    async fn poll(&self) -> Option<ShutdownNotice> {
        match self.client.should_worker_terminate(&self.worker).await {
            Ok(answer) => answer.terminate.then(|| {
                let reason = format!("the worker manager requested it: {}", answer.reason);
                ShutdownNotice::graceful(reason)
            }),
            Err(error) => {
                tracing::debug!(
                    error = error_chain(&error),
                    "cannot ask whether to terminate"
                );
                None
            }
        }
    }
}

#[async_trait]
impl ShutdownSource for ShouldTerminateSource {
    fn name(&self) -> &'static str {
        "worker-manager"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.has_notified {
            if let Some(notice) = self.poll().await {
                self.has_notified = true;
                return Some(notice);
            }
            tokio::time::sleep(self.interval).await;
        }
        None
    }
}
