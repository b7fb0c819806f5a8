//! The traits that a plugin implements to add behaviour around tasks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, Section, TaskError};
use serde_json::Value;

use crate::engine::{ResultSet, Sandbox, SandboxBuilder};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

/// Adds behaviour to every task, or to tasks whose payload asks for it.
#[async_trait]
pub trait Plugin: Send + Sync + fmt::Debug {
    /// Returns a short name for logs, such as `artifacts`.
    fn name(&self) -> &'static str;

    /// Returns the JSON schema of the plugin's part of the payload, an object schema with `properties`, or `None` if
    /// the plugin reads no payload.
    fn payload_schema(&self) -> Option<Value> {
        None
    }

    /// Checks rules that a schema cannot express.
    ///
    /// The worker calls it even if the payload does not fit the schema, so that the author of a task gets all
    /// problems at once.
    ///
    /// # Errors
    ///
    /// All problems, each with the path of the value. Violations of the schema need not be repeated.
    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let _ = payload;
        Ok(())
    }

    /// Returns documentation for authors of tasks.
    fn documentation(&self) -> Vec<Section> {
        Vec::new()
    }

    /// Creates the plugin's part for one task, or returns `None` if the task does not need it.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError>;
}

/// Follows one task through its stages. Each stage is called at most once, in the order of the methods.
///
/// The stages up to [`stopped`](Self::stopped) run for all plugins in the order of registration. If one of them fails,
/// or the task is stopped, the remaining ones are skipped and [`exception`](Self::exception) is called.
/// [`closing_log`](Self::closing_log) and [`dispose`](Self::dispose) are called in any case.
#[async_trait]
pub trait TaskPlugin: Send {
    /// Prepares the task, for example by fetching inputs. All plugins prepare concurrently.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn prepare(&mut self) -> Result<(), TaskError> {
        Ok(())
    }

    /// Configures the sandbox.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        let _ = builder;
        Ok(())
    }

    /// Called after the task was started.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        let _ = sandbox;
        Ok(())
    }

    /// Called after the task ended by itself. The worst verdict of all plugins decides.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let _ = result;
        Ok(Verdict::Success)
    }

    /// Writes the last lines to the log, which is closed afterwards. Must not block.
    fn closing_log(&mut self) {}

    /// Called with the verdict before it is reported. The log is closed and can be extracted.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which replaces the verdict.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn finished(&mut self, verdict: Verdict) -> Result<(), TaskError> {
        let _ = verdict;
        Ok(())
    }

    /// Called if the run ends without a verdict. The log is closed and can be extracted.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which is reported to the monitor and does not change the resolution.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when a worker that stops runs out of time.
    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        let _ = resolution;
        Ok(())
    }

    /// Releases the plugin's resources.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped after [`Timing::hang_timeout`](crate::Timing::hang_timeout), and the worker stops.
    async fn dispose(self: Box<Self>) {}
}
