//! The traits that a plugin implements to add behaviour around tasks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, Section, TaskError};
use serde_json::Value;

use crate::engine::{Capability, ResultSet, Sandbox, SandboxBuilder};
use crate::resolution::{Resolution, Verdict};
use crate::task_run::TaskRun;

/// Adds behaviour to every task, or to tasks whose payload asks for it.
#[async_trait]
pub trait Plugin: Send + Sync + fmt::Debug {
    /// Returns a short name, such as `artifacts`: the prefix of the monitor of each [`TaskRun`].
    fn name(&self) -> &'static str;

    /// Returns the JSON schema of the plugin's part of the payload, an object schema with `properties`, or `None` if
    /// the plugin reads no payload.
    fn payload_schema(&self) -> Option<Value> {
        None
    }

    /// Returns the capabilities of the engine without which the plugin does not work. Default: none.
    fn requires(&self) -> &[Capability] {
        &[]
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
/// [`prepare`](Self::prepare) runs for all plugins at once; every other stage calls them in the order in which they were
/// added. If a stage up to [`stopped`](Self::stopped) fails, or the task is stopped, the remaining ones are skipped and
/// [`exception`](Self::exception) is called. [`closing_log`](Self::closing_log) and [`dispose`](Self::dispose) are
/// called in any case. A stage that exceeds [`Timing::stage_timeout`](crate::Timing::stage_timeout) is dropped and counts
/// as failed.
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

    /// Called when the engine has a result, unless the worker stopped the run. The worst verdict of all plugins decides.
    ///
    /// The name refers to the sandbox. In contrast, [`TaskContext::stopped`](runtime_core::TaskContext::stopped) waits
    /// for a stop by the worker, which skips this stage. A plugin that kills the sandbox, as `MaxRunTime` does, does not
    /// stop the run, so this stage follows.
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
    /// A [`TaskError`], which replaces the verdict: [`exception`](Self::exception) is then called on every plugin, even
    /// if its `finished` succeeded.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped.
    async fn finished(&mut self, verdict: Verdict) -> Result<(), TaskError> {
        let _ = verdict;
        Ok(())
    }

    /// Called if the run has no verdict, or if `finished` of any plugin failed. The log is closed and can be extracted.
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
