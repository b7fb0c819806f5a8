//! What happens around a task: what a plugin implements.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::{MalformedPayloadError, Section, TaskError};
use serde_json::Value;

use crate::engine::{ResultSet, Sandbox, SandboxBuilder};
use crate::{Resolution, TaskRun};

/// Adds behaviour to every task, or to those whose payload asks for it.
#[async_trait]
pub trait Plugin: Send + Sync + fmt::Debug {
    /// A short name for logs, such as `artifacts`.
    fn name(&self) -> &'static str;

    /// The JSON schema of the part of the payload that the plugin reads: an object schema with
    /// `properties`. `None` if it reads nothing.
    fn payload_schema(&self) -> Option<Value> {
        None
    }

    /// Checks what a schema cannot express. It is called whether or not the payload fits the schema,
    /// so that the author of a task sees everything that is wrong at once.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with the path of the place; what the schema refuses need not be said again.
    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        let _ = payload;
        Ok(())
    }

    /// What authors of tasks must know.
    fn documentation(&self) -> Vec<Section> {
        Vec::new()
    }

    /// Makes what follows one task, or `None` if there is nothing to do for it.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError>;
}

/// Follows one task through its stages. Each stage is called at most once, in the order below.
///
/// The first stages run for all plugins in the order of registration. When one fails, or the task is
/// stopped, the rest of the first stages is left out and [`exception`](Self::exception) comes next.
/// The future of a stage before `exception` may be dropped when the task is stopped. `dispose`
/// always comes last.
#[async_trait]
pub trait TaskPlugin: Send {
    /// Does what takes time, such as fetching. All plugins prepare at once.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn prepare(&mut self) -> Result<(), TaskError> {
        Ok(())
    }

    /// Brings what it has into the sandbox.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn build_sandbox(&mut self, builder: &mut dyn SandboxBuilder) -> Result<(), TaskError> {
        let _ = builder;
        Ok(())
    }

    /// The task runs now.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn started(&mut self, sandbox: &Arc<dyn Sandbox>) -> Result<(), TaskError> {
        let _ = sandbox;
        Ok(())
    }

    /// The task has ended by itself. The worst verdict of all plugins is the task's.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] that resolves the task as it says.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let _ = result;
        Ok(Verdict::Success)
    }

    /// The log is about to be closed: the last chance to write to it. It is called whatever happened,
    /// also when the task was stopped, and must not block.
    fn closing_log(&mut self) {}

    /// There is a verdict, which is not reported yet. The log is closed and can be extracted.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which then is the resolution instead.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when the task is stopped.
    async fn finished(&mut self, verdict: Verdict) -> Result<(), TaskError> {
        let _ = verdict;
        Ok(())
    }

    /// There will be no verdict. The log is closed and can be extracted.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which is reported to the monitor and changes nothing for the task.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped when time is short.
    async fn exception(&mut self, resolution: &Resolution) -> Result<(), TaskError> {
        let _ = resolution;
        Ok(())
    }

    /// Gives back what it holds.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped only if it takes longer than [`Timing::hang`](crate::Timing::hang), after which the
    /// worker stops.
    async fn dispose(self: Box<Self>) {}
}

/// What a plugin thinks of a task that ended by itself. The order is from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It did what it should.
    Success,
    /// It did not.
    Failure,
    /// It did not, and its author says that another try may help.
    Intermittent,
}
