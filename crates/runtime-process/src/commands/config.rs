//! The configuration section of the engine by commands.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::util::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::{CommandsEngine, Programs};
use crate::high_memory::HighMemoryPolicy;

/// The maximum size of a schema file in bytes.
const MAX_SCHEMA_BYTES: u64 = 1 << 20;

/// The settings of a [`CommandsEngine`] in a configuration file. Each program is a list: the program and its arguments.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CommandsConfig {
    /// The program that prepares a task, for example by starting a virtual machine. If its exit code is not 0, the run
    /// ends with an internal error. Default: none.
    pub prepare: Vec<String>,
    /// The program that runs a task. Its exit code is that of the task. It is required.
    pub run: Vec<String>,
    /// The program that asks a running task to end, before `run` receives signals. Default: none.
    pub kill: Vec<String>,
    /// The program that cleans up after each task that was started, even if `prepare` or `run` failed. It does not run
    /// if the worker was killed. Default: none.
    pub cleanup: Vec<String>,
    /// The environment variables of all programs. Default: none.
    pub env: BTreeMap<String, String>,
    /// The JSON schema of the payload: an object schema with `properties`. Either this or `payloadSchemaFile` is
    /// required.
    pub payload_schema: Option<Value>,
    /// A JSON file with the schema of the payload, of at most 1 MiB.
    pub payload_schema_file: Option<PathBuf>,
    /// The time that `run` has to exit after `SIGTERM`; `0 s` skips the signal. Default: 5 s.
    #[serde(with = "DurationText")]
    pub terminate_timeout: Duration,
    /// The time after which `cleanup` is killed. When a task is killed, the time is also limited to the remaining time
    /// of the kill. Default: 1 min.
    #[serde(with = "DurationText")]
    pub cleanup_timeout: Duration,
    /// The thresholds of the machine's memory at which the worker ends `run`. The other programs are not ended.
    pub abort_on_high_memory: HighMemoryPolicy,
}

impl Default for CommandsConfig {
    /// Returns settings without programs and schema, which are not sufficient for an engine.
    fn default() -> Self {
        Self {
            prepare: Vec::new(),
            run: Vec::new(),
            kill: Vec::new(),
            cleanup: Vec::new(),
            env: BTreeMap::new(),
            payload_schema: None,
            payload_schema_file: None,
            terminate_timeout: Duration::from_secs(5),
            cleanup_timeout: Duration::from_secs(60),
            abort_on_high_memory: HighMemoryPolicy::default(),
        }
    }
}

impl CommandsConfig {
    /// Creates an engine with these settings. Blocks while it reads the schema.
    ///
    /// # Errors
    ///
    /// A [`CommandsConfigError`] if the program `run` or the schema is missing, or the schema cannot be read.
    pub fn to_engine(&self) -> Result<CommandsEngine, CommandsConfigError> {
        if self.run.is_empty() {
            return Err(CommandsConfigError::NoProgram);
        }
        let schema = match (&self.payload_schema, &self.payload_schema_file) {
            (Some(schema), None) => schema.clone(),
            (None, Some(file)) => read_schema(file)?,
            _ => return Err(CommandsConfigError::NoSchema),
        };
        let programs = Programs {
            prepare: self.prepare.clone(),
            run: self.run.clone(),
            kill: self.kill.clone(),
            cleanup: self.cleanup.clone(),
            cleanup_timeout: self.cleanup_timeout,
        };
        Ok(CommandsEngine::new(
            programs,
            schema,
            &self.env,
            self.terminate_timeout,
            self.abort_on_high_memory,
        ))
    }
}

fn read_schema(path: &PathBuf) -> Result<Value, CommandsConfigError> {
    let read = || {
        let mut text = String::new();
        let file = File::open(path)?;
        file.take(MAX_SCHEMA_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_SCHEMA_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(serde_json::from_str(&text)?)
    };
    read().map_err(|source| CommandsConfigError::Schema {
        path: path.clone(),
        source,
    })
}

/// The reason why a [`CommandsEngine`] could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandsConfigError {
    /// The program `run` is missing.
    #[error(
        "the setting `run` is empty: set it to the program that runs a task, with its arguments"
    )]
    NoProgram,

    /// The schema of the payload is missing, or there are two.
    #[error("set either `payloadSchema` or `payloadSchemaFile`")]
    NoSchema,

    /// The schema file is unreadable.
    #[error("cannot read the schema of the payload from `{}`; is it a JSON file of at most 1 MiB?", .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The error of the file, or of JSON.
        source: io::Error,
    },
}
