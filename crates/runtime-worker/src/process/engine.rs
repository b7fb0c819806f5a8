//! The engine and its settings.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Section, TaskError};
use serde_json::Value;

use super::builder::ProcessBuilder;
use super::folder::TaskFolder;
use super::payload::ProcessPayload;
use crate::TaskRun;
use crate::engine::{Engine, SandboxBuilder};
use crate::payload::schema_of;

/// Runs tasks as processes of this machine.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_worker::ProcessEngine;
/// let engine = ProcessEngine::new().env("PATH", "/opt/tools:/usr/bin:/bin").grace(Duration::from_secs(10));
/// # let _ = engine;
/// ```
#[derive(Clone, Debug)]
pub struct ProcessEngine {
    env: BTreeMap<String, String>,
    grace: Duration,
}

impl ProcessEngine {
    /// Makes an engine whose tasks see `PATH` as `/usr/local/bin:/usr/bin:/bin`, and `HOME` as their folder.
    ///
    /// A task inherits no variable of the worker, since those may hold credentials.
    #[must_use]
    pub fn new() -> Self {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
        Self {
            env,
            grace: Duration::from_secs(5),
        }
    }

    /// Sets a variable that all tasks see unless they set it themselves.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// How long a task that is stopped has between `SIGTERM` and `SIGKILL`; 5 seconds by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl Default for ProcessEngine {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Engine for ProcessEngine {
    fn payload_schema(&self) -> Value {
        schema_of::<ProcessPayload>()
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Commands",
            "
            `command` is a program with its arguments, or an array of such that run in order until one
            fails. They start in a folder of the task's own, which is also `HOME`, and see the variables
            in `env` and none of the worker's. What they write to standard output and standard error
            goes to the task's log in the order in which it was written.
            ",
        )]
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload: ProcessPayload = run.payload_as()?;
        let folder = TaskFolder::create(&run.environment.storage).map_err(TaskError::other)?;
        let mut env = self.env.clone();
        env.entry("HOME".to_owned())
            .or_insert_with(|| folder.path().display().to_string());
        let mut builder = ProcessBuilder::new(run.context.clone(), folder, env, self.grace);
        for (name, value) in &payload.env {
            builder.set_env(name, value)?;
        }
        builder.set_commands(payload.command.into_list());
        Ok(Box::new(builder))
    }
}
