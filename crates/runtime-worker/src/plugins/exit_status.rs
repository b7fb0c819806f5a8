//! Exit codes with a special meaning.

use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{Section, TaskError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::engine::ResultSet;
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::Verdict;
use crate::task_run::TaskRun;

/// Reads `onExitStatus.retry`, and logs the exit of the task.
///
/// The plugin `Mounts` reads `onExitStatus.purgeCaches`, but the key is part of this plugin's schema: without
/// `ExitStatus`, the worker rejects it as unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExitStatus;

/// The payload's `onExitStatus`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OnExitStatus {
    /// Exit codes after which the queue retries the task, while it has retries left.
    #[serde(default)]
    pub(super) retry: Vec<i32>,
    /// Exit codes after which the caches of the task are removed.
    #[serde(default)]
    #[cfg_attr(
        not(feature = "mounts"),
        expect(dead_code, reason = "read by `Mounts` only")
    )]
    pub(super) purge_caches: Vec<i32>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExitPayload {
    /// Exit codes with a special meaning.
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
            A task that exits with 0 is completed, and failed with any other code. After a code in
            `onExitStatus.retry` it is resolved `intermittent-task` and retried while retries are left.
            After a code in `onExitStatus.purgeCaches` its caches are removed.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let retry = run.payload_as::<ExitPayload>()?.on_exit_status.retry;
        Ok(Some(Box::new(ExitLogger {
            run: run.clone(),
            retry,
        })))
    }
}

struct ExitLogger {
    run: TaskRun,
    retry: Vec<i32>,
}

#[async_trait]
impl TaskPlugin for ExitLogger {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let exit = result.exit();
        if exit.success() {
            // Not that the task succeeded: a later plugin may still fail it.
            self.run.context.log(format_args!("Task ended with {exit}"));
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
