//! Stops a worker whose engine or plugins hang.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;
use tokio::task::JoinSet;

use crate::engine::{ResultSet, Sandbox, SandboxBuilder};
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

/// Requests an immediate stop of the worker when a stage of a task exceeds a limit.
///
/// The run time of the task itself is not limited; use [`MaxRunTime`](super::MaxRunTime) for that.
///
/// Add it before all other plugins, so that it is called first in each stage and its timer covers them.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    limit: Duration,
}

impl Watchdog {
    /// Creates the plugin with a limit for each stage, such as fetching inputs, starting and uploading.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for Watchdog {
    /// Creates the plugin with a limit of two hours, which large uploads may need.
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
        let mut timer = StageTimer {
            run: run.clone(),
            limit: self.limit,
            timer: JoinSet::new(),
        };
        timer.start("setting up");
        Ok(Some(Box::new(timer)))
    }
}

struct StageTimer {
    run: TaskRun,
    limit: Duration,
    /// The timer of the current stage. Dropping it stops the timer.
    timer: JoinSet<()>,
}

impl StageTimer {
    /// Stops the timer of the previous stage and starts one for the next.
    fn start(&mut self, stage: &'static str) {
        self.timer.abort_all();
        let (run, limit) = (self.run.clone(), self.limit);
        self.timer.spawn(async move {
            tokio::time::sleep(limit).await;
            run.monitor().error(format_args!(
                "{stage} a task took longer than {} s; stopping the worker",
                limit.as_secs()
            ));
            run.environment.stop.stop_now();
        });
    }
}

#[async_trait]
impl TaskPlugin for StageTimer {
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.start("preparing");
        Ok(())
    }

    async fn build_sandbox(&mut self, _: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        self.start("starting");
        Ok(())
    }

    async fn started(&mut self, _: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        self.timer.abort_all();
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.start("collecting the results of");
        Ok(Verdict::Success)
    }

    async fn finished(&mut self, _: Verdict) -> Result<(), TaskError> {
        self.start("finishing");
        Ok(())
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        self.start("finishing");
        Ok(())
    }
}
