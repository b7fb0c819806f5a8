//! Ends a task that runs too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Section, TaskError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::payload::schema_of;
use crate::{Plugin, Resolution, ResultSet, Sandbox, TaskPlugin, TaskRun, Verdict};

/// Reads `maxRunTime` and fails a task that runs longer.
#[derive(Clone, Debug)]
pub struct MaxRunTime {
    most: Duration,
}

impl MaxRunTime {
    /// Allows no task to run longer than `most`, which is also what a task gets that does not say.
    #[must_use]
    pub fn new(most: Duration) -> Self {
        Self { most }
    }
}

impl Default for MaxRunTime {
    /// One day.
    fn default() -> Self {
        Self::new(Duration::from_secs(24 * 60 * 60))
    }
}

/// How long a task that ran too long has to end by itself.
const GRACE: Duration = Duration::from_secs(15);

#[derive(Deserialize, JsonSchema)]
struct Payload {
    /// How long the task may run, in seconds.
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
        let seconds = self.most.as_secs();
        let text = format!(
            "`maxRunTime` is in seconds, at most {seconds}. A task that runs longer is ended and fails."
        );
        vec![Section::new("Time limit", &text)]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let asked = run
            .payload_as::<Payload>()?
            .max_run_time
            .map(|seconds| Duration::from_secs(seconds.into()));
        let limit = asked.unwrap_or(self.most).min(self.most);
        Ok(Some(Box::new(Timer {
            run: run.clone(),
            limit,
            fired: Arc::default(),
            timer: JoinSet::new(),
        })))
    }
}

struct Timer {
    run: TaskRun,
    limit: Duration,
    fired: Arc<AtomicBool>,
    timer: JoinSet<()>,
}

#[async_trait]
impl TaskPlugin for Timer {
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        let (run, limit) = (self.run.clone(), self.limit);
        let (fired, sandbox) = (Arc::clone(&self.fired), Arc::clone(sandbox));
        self.timer.spawn(async move {
            tokio::time::sleep(limit).await;
            if run.record.has_ended() {
                // Other plugins may work for long on what it left, and that is none of its time.
                return;
            }
            run.context.log_error(format_args!(
                "Task ran longer than its maxRunTime of {} seconds",
                limit.as_secs()
            ));
            fired.store(true, Ordering::SeqCst);
            sandbox.kill(GRACE).await;
        });
        Ok(())
    }

    async fn stopped(&mut self, _: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        self.timer.shutdown().await;
        // A timer that fired has ended the task, whatever exit code that left.
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
