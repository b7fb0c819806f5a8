//! Exit codes that mean something.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{Section, TaskError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::payload::schema_of;
use crate::{Plugin, ResultSet, TaskPlugin, TaskRun, Verdict};

/// Reads `onExitStatus.retry`, and tells the author of a task how it ended.
///
/// `onExitStatus.purgeCaches` is read by the plugin `Mounts`, which has the caches.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExitStatus;

/// `onExitStatus` of a payload.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OnExitStatus {
    /// Exit codes after which the queue should run the task again, while it has retries left.
    #[serde(default)]
    pub(super) retry: Vec<i32>,
    /// Exit codes after which the caches that the task mounted are not used again.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "mounts"),
        expect(dead_code, reason = "only mounts have caches")
    )]
    pub(super) purge_caches: Vec<i32>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExitPayload {
    /// What some exit codes mean.
    #[serde(default)]
    pub(super) on_exit_status: OnExitStatus,
}

#[async_trait]
impl Plugin for ExitStatus {
    fn name(&self) -> &'static str {
        "exit-status"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<ExitPayload>())
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Exit codes",
            "
            A task that exits with 0 is completed, with any other code it has failed. After a code in
            `onExitStatus.retry` it resolves `intermittent-task` and is run again while retries are left.
            After a code in `onExitStatus.purgeCaches` the caches that it mounted are dropped.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let retry = run.payload_as::<ExitPayload>()?.on_exit_status.retry;
        Ok(Some(Box::new(TaskExit {
            run: run.clone(),
            retry,
        })))
    }
}

struct TaskExit {
    run: TaskRun,
    retry: Vec<i32>,
}

#[async_trait]
impl TaskPlugin for TaskExit {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let exit = result.exit();
        if exit.success() {
            self.run.context.log("Task succeeded");
            return Ok(Verdict::Success);
        }
        self.run
            .context
            .log_error(format_args!("Task ended with {exit}"));
        let retry = exit.code().is_some_and(|code| self.retry.contains(&code));
        Ok(if retry {
            Verdict::Intermittent
        } else {
            Verdict::Failure
        })
    }
}
