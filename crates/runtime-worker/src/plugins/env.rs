//! Environment variables that describe the task.

use async_trait::async_trait;
use runtime_core::{Section, TaskError};

use crate::engine::{Capability, SandboxBuilder};
use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;

/// Sets `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` and `TASKCLUSTER_WORKER_GROUP`. If the worker
/// records traces, also sets `TRACEPARENT`, unless the payload sets it.
///
/// The names follow Taskcluster's convention for environment variables of workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskEnvVars;

#[async_trait]
impl Plugin for TaskEnvVars {
    fn name(&self) -> &'static str {
        "environment"
    }

    fn requires(&self) -> &[Capability] {
        &[Capability::EnvVars]
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Environment",
            "The worker sets `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` and `TASKCLUSTER_WORKER_GROUP`. \
             If it exports traces, it also sets `TRACEPARENT` (W3C trace context), unless the payload does.",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(EnvVarSetter { run: run.clone() })))
    }
}

struct EnvVarSetter {
    run: TaskRun,
}

#[async_trait]
impl TaskPlugin for EnvVarSetter {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        let info = self.run.context.info();
        let identity = &self.run.environment.identity;
        builder.set_env("TASK_ID", info.run.task_id.as_str())?;
        builder.set_env("RUN_ID", &info.run.run_id.to_string())?;
        // As the queue does: a task without a group is the first task of a group with its own id.
        let group = info
            .definition
            .task_group_id
            .as_ref()
            .unwrap_or(&info.run.task_id);
        builder.set_env("TASK_GROUP_ID", group.as_str())?;
        builder.set_env("TASKCLUSTER_ROOT_URL", &identity.root_url)?;
        builder.set_env("TASKCLUSTER_WORKER_GROUP", &identity.worker_group)?;
        // A task may already belong to the trace of the program that created it.
        if builder.payload_env("TRACEPARENT").is_none()
            && let Some(parent) = self.run.monitor().traceparent()
        {
            builder.set_env("TRACEPARENT", &parent)?;
        }
        Ok(())
    }
}
