//! Stops a worker after an internal error.

use async_trait::async_trait;
use runtime_core::{ExceptionReason, TaskError};

use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::Resolution;
use crate::task_run::TaskRun;

/// Stops the worker gracefully after the first internal error.
///
/// Intended for machines that are replaced rather than repaired. Without this plugin a worker stops after
/// [several consecutive errors](crate::WorkerBuilder::max_consecutive_internal_errors).
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
        Ok(Some(Box::new(ErrorStopper(run.clone()))))
    }
}

struct ErrorStopper(TaskRun);

#[async_trait]
impl TaskPlugin for ErrorStopper {
    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        if *resolution == Resolution::Exception(ExceptionReason::InternalError) {
            let monitor = self.0.monitor();
            monitor.error("stopping the worker after an internal error");
            self.0.environment.stop.stop_gracefully();
        }
        Ok(())
    }
}
