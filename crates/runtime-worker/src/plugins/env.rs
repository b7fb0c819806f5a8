//! Tells a task who it is.

use async_trait::async_trait;
use runtime_core::{Section, TaskError};

use crate::{Plugin, SandboxBuilder, TaskPlugin, TaskRun};

/// Sets `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` and `TASKCLUSTER_WORKER_GROUP`.
///
/// The names are those of Taskcluster's "environment variables" convention for workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskEnvVars;

#[async_trait]
impl Plugin for TaskEnvVars {
    fn name(&self) -> &'static str {
        "environment"
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Environment",
            "A task sees `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` and `TASKCLUSTER_WORKER_GROUP`.",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(TaskEnvironment { run: run.clone() })))
    }
}

struct TaskEnvironment {
    run: TaskRun,
}

#[async_trait]
impl TaskPlugin for TaskEnvironment {
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        let info = self.run.context.info();
        let identity = &self.run.environment.identity;
        builder.set_env("TASK_ID", info.run.task_id.as_str())?;
        builder.set_env("RUN_ID", &info.run.run_id.to_string())?;
        // The queue takes a task that names no group for the first of its own.
        let group = info
            .definition
            .task_group_id
            .as_ref()
            .unwrap_or(&info.run.task_id);
        builder.set_env("TASK_GROUP_ID", group.as_str())?;
        builder.set_env("TASKCLUSTER_ROOT_URL", &identity.root_url)?;
        builder.set_env("TASKCLUSTER_WORKER_GROUP", &identity.worker_group)?;
        Ok(())
    }
}
