//! The worker manager, which knows whether a worker is still needed.

use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource, chain};

use crate::{Client, WorkerName};

/// Asks `shouldWorkerTerminate`. Running tasks may finish.
#[derive(Debug)]
pub struct ShouldTerminate {
    client: Client,
    worker: WorkerName,
    interval: Duration,
    is_told: bool,
}

impl ShouldTerminate {
    /// Asks for `worker` every five minutes, with the credentials of `client`.
    #[must_use]
    pub fn new(client: Client, worker: WorkerName) -> Self {
        Self {
            client,
            worker,
            interval: Duration::from_secs(300),
            is_told: false,
        }
    }

    /// Asks more or less often.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }
}

#[async_trait]
impl ShutdownSource for ShouldTerminate {
    fn name(&self) -> &'static str {
        "worker-manager"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        while !self.is_told {
            match self.client.should_worker_terminate(&self.worker).await {
                Ok(answer) if answer.terminate => {
                    self.is_told = true;
                    return Some(ShutdownNotice::graceful(format!(
                        "the worker manager says: {}",
                        answer.reason
                    )));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = chain(&error), "cannot ask whether to terminate");
                }
            }
            tokio::time::sleep(self.interval).await;
        }
        None
    }
}
