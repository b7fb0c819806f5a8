//! Limits the run time of tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Section, TaskError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::engine::{ResultSet, Sandbox};
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

/// Reads `maxRunTime`, and kills and fails a task that runs longer.
#[derive(Clone, Debug)]
pub struct MaxRunTime {
    max: Duration,
}

impl MaxRunTime {
    /// Creates the plugin with an upper limit, which is also the default for tasks without `maxRunTime`.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self { max }
    }
}

impl Default for MaxRunTime {
    /// Creates the plugin with a limit of one day.
    fn default() -> Self {
        Self::new(Duration::from_secs(24 * 60 * 60))
    }
}

/// Time for the engine to kill a task that exceeded its limit.
const KILL_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Deserialize, JsonSchema)]
struct Payload {
    /// The maximum run time in seconds.
    #[serde(rename = "maxRunTime")]
    #[schemars(range(min = 1))]
    max_run_time: Option<u32>,
}

#[async_trait]
impl Plugin for MaxRunTime {
    fn name(&self) -> &'static str {
        "max-run-time"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<Payload>())
    }

    fn documentation(&self) -> Vec<Section> {
        let seconds = self.max.as_secs();
        let text = format!(
            "`maxRunTime` is in seconds, at most {seconds}. A task that runs longer is killed and fails."
        );
        vec![Section::new("Time limit", &text)]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let requested = run
            .payload_as::<Payload>()?
            .max_run_time
            .map(|seconds| Duration::from_secs(seconds.into()));
        let limit = requested.unwrap_or(self.max).min(self.max);
        Ok(Some(Box::new(RunTimer {
            run: run.clone(),
            limit,
            fired: Arc::default(),
            timer: JoinSet::new(),
        })))
    }
}

struct RunTimer {
    run: TaskRun,
    limit: Duration,
    fired: Arc<AtomicBool>,
    timer: JoinSet<()>,
}

#[async_trait]
impl TaskPlugin for RunTimer {
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        let (run, limit) = (self.run.clone(), self.limit);
        let (fired, sandbox) = (Arc::clone(&self.fired), Arc::clone(sandbox));
        self.timer.spawn(async move {
            tokio::time::sleep(limit).await;
            if run.report.has_ended() {
                // The task ended in time, and other plugins still process its results. The limit does not cover them.
                return;
            }
            run.context.log_error(format_args!(
                "Task ran longer than its maxRunTime of {} seconds",
                limit.as_secs()
            ));
            // Before the kill, which lets `stopped` run.
            fired.store(true, Ordering::SeqCst);
            sandbox.kill(KILL_TIMEOUT).await;
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        // Waits for the end of the timer, so that `fired` is final.
        self.timer.shutdown().await;
        // A killed task may exit with any code, even 0.
        let fired = self.fired.load(Ordering::SeqCst);
        Ok(if fired {
            Verdict::Failure
        } else {
            Verdict::Success
        })
    }

    async fn exception(&mut self, _: &Resolution) -> Result<(), TaskError> {
        self.timer.shutdown().await;
        Ok(())
    }
}
