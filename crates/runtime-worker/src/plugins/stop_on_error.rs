//! Stops a worker that failed.

use async_trait::async_trait;
use runtime_core::{ExceptionReason, TaskError};

use crate::{Plugin, Resolution, TaskPlugin, TaskRun};

/// Stops the worker gracefully after the first internal error, for machines that are made anew rather
/// than mended. Without it a worker goes on until there are several in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOnError;

#[async_trait]
impl Plugin for StopOnError {
    fn name(&self) -> &'static str {
        "stop-on-error"
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        Ok(Some(Box::new(Watching(run.clone()))))
    }
}

struct Watching(TaskRun);

#[async_trait]
impl TaskPlugin for Watching {
    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        if *resolution == Resolution::Exception(ExceptionReason::InternalError) {
            let monitor = self.0.monitor();
            monitor.error("a task ended with an internal error; the worker stops");
            self.0.environment.stop.stop_gracefully();
        }
        Ok(())
    }
}
