//! Stops a worker whose engine or plugins hang.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;
use tokio::task::JoinHandle;

use crate::{Plugin, Resolution, ResultSet, Sandbox, SandboxBuilder, TaskPlugin, TaskRun, Verdict};

/// Stops the worker at once when a stage of a task takes longer than it may. While the task itself
/// runs, it sleeps: that is what [`MaxRunTime`](super::MaxRunTime) is for.
///
/// Register it first, so that it hears of each stage before the others work on it.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    limit: Duration,
}

impl Watchdog {
    /// Allows no stage to take longer than `limit`: fetching inputs, starting, uploading.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for Watchdog {
    /// Two hours, which large uploads may need.
    fn default() -> Self {
        Self::new(Duration::from_secs(2 * 60 * 60))
    }
}

#[async_trait]
impl Plugin for Watchdog {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let mut leash = Leash {
            run: run.clone(),
            limit: self.limit,
            timer: None,
        };
        leash.watch("setting up");
        Ok(Some(Box::new(leash)))
    }
}

struct Leash {
    run: TaskRun,
    limit: Duration,
    timer: Option<JoinHandle<()>>,
}

impl Leash {
    /// Starts to count for a stage, and ends the count for the one before.
    fn watch(&mut self, stage: &'static str) {
        self.rest();
        let (run, limit) = (self.run.clone(), self.limit);
        self.timer = Some(tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            run.monitor().error(format_args!(
                "{stage} a task took longer than {} s; the worker stops",
                limit.as_secs()
            ));
            run.environment.stop.stop_now();
        }));
    }

    fn rest(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

#[async_trait]
impl TaskPlugin for Leash {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.watch("preparing");
        Ok(())
    }

    async fn build_sandbox(&mut self, _: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        self.watch("starting");
        Ok(())
    }

    async fn started(&mut self, _: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        self.rest();
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.watch("collecting the results of");
        Ok(Verdict::Success)
    }

    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        self.watch("finishing");
        Ok(())
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        self.watch("finishing");
        Ok(())
    }

    async fn dispose(self: Box<Self>) {}
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.rest();
    }
}
