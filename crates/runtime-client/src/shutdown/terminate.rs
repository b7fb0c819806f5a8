//! The worker manager, which knows whether a worker is still needed.

use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{ShutdownNotice, ShutdownSource, error_chain};

use super::polled::{Oracle, Polled};
use crate::{Client, WorkerName};

/// Asks `shouldWorkerTerminate`. Running tasks may finish.
#[derive(Debug)]
pub struct ShouldTerminate {
    polled: Polled<Manager>,
}

#[derive(Debug)]
struct Manager {
    client: Client,
    worker: WorkerName,
}

impl ShouldTerminate {
    /// Asks for `worker` every five minutes, with the credentials of `client`.
    #[must_use]
    pub fn new(client: Client, worker: WorkerName) -> Self {
        Self {
            polled: Polled::new(Manager { client, worker }, Duration::from_secs(300)),
        }
    }

    /// Asks more or less often.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.polled.interval = interval;
        self
    }
}

#[async_trait]
impl Oracle for Manager {
    async fn ask(&mut self) -> Option<ShutdownNotice> {
        match self.client.should_worker_terminate(&self.worker).await {
            Ok(answer) => answer.terminate.then(|| {
                ShutdownNotice::graceful(format!("the worker manager says: {}", answer.reason))
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
impl ShutdownSource for ShouldTerminate {
    fn name(&self) -> &'static str {
        "worker-manager"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.polled.next().await
    }
}
