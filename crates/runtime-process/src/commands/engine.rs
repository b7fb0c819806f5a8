//! The engine by commands, and its builder.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Environment, MalformedPayloadError, Section, TaskError, TemporaryFile};
use runtime_worker::{Capability, Engine, FolderAccess, Sandbox, SandboxBuilder, TaskRun};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::sandbox::{CommandsSandbox, Stages};
use crate::engine::ProcessEngine;
use crate::high_memory::HighMemoryPolicy;
use crate::kill_sequence::KillSequence;
use crate::sandbox_builder::ProcessSandboxBuilder;

/// Runs tasks with programs of the operator, which can be written in any language.
///
/// For each task, `prepare`, `run` and `cleanup` run in this order. When the worker stops the task, it runs `kill`, and
/// then sends signals to `run`. Each program starts in the folder of the task, reads the payload as JSON from its
/// standard input, and writes to the log of the task. Processes that a program leaves running are killed when it ends.
///
/// | variable | content |
/// | --- | --- |
/// | `TASK_ID`, `RUN_ID` | the ids of task and run |
/// | `HOME` | the folder of the task, unless the settings contain another value |
/// | `TASK_FOLDER` | the folder of the task, with its caches and inputs; artifacts are read from there |
///
/// The programs run as the worker's user and without isolation. To isolate tasks, let `run` do it.
///
/// ```
/// use runtime_process::CommandsConfig;
/// use runtime_worker::Engine;
/// use serde_json::json;
///
/// let config: CommandsConfig = serde_json::from_value(json!({
///     "run": ["/opt/ci/run"],
///     "cleanup": ["/opt/ci/cleanup"],
///     "payloadSchema": {
///         "type": "object",
///         "properties": { "image": { "type": "string", "pattern": "^[a-z]+$" } },
///         "required": ["image"],
///     },
/// }))?;
/// let engine = config.to_engine()?;
/// assert_eq!(engine.name(), "commands");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CommandsEngine {
    pub(super) processes: ProcessEngine,
    programs: Arc<Programs>,
    schema: Arc<Value>,
}

/// The programs of the operator. An empty list stands for none.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) prepare: Vec<String>,
    pub(super) run: Vec<String>,
    pub(super) kill: Vec<String>,
    pub(super) cleanup: Vec<String>,
    pub(super) cleanup_timeout: Duration,
}

impl CommandsEngine {
    pub(super) fn new(
        programs: Programs,
        schema: Value,
        env: &BTreeMap<String, String>,
        terminate_timeout: Duration,
        high_memory: HighMemoryPolicy,
    ) -> Self {
        let sequence = KillSequence::new(Duration::ZERO, terminate_timeout);
        let processes = ProcessEngine::new()
            .kill_sequence(sequence)
            .abort_on_high_memory(high_memory);
        let processes = env.iter().fold(processes, |processes, (name, value)| {
            processes.env(name, value)
        });
        Self {
            processes,
            programs: Arc::new(programs),
            schema: Arc::new(schema),
        }
    }
}

/// Without proxies and further commands, because the task may run elsewhere, such as in a virtual machine.
const CAPABILITIES: [Capability; 3] =
    [Capability::EnvVars, Capability::Folders, Capability::Copies];

#[async_trait]
impl Engine for CommandsEngine {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn payload_schema(&self) -> Value {
        (*self.schema).clone()
    }

    fn capabilities(&self) -> &[Capability] {
        &CAPABILITIES
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Programs",
            "The operator of this worker provides programs that run the tasks. Their output is in the task's log.",
        )]
    }

    async fn containment(&self) -> Vec<String> {
        self.processes.containment().await
    }

    async fn prepare(&self, environment: &Environment) -> Result<(), TaskError> {
        self.processes.prepare(environment).await
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload = write_payload(run).await?;
        let builder = self.processes.new_builder(run, &CAPABILITIES).await?;
        let id = run.context.run();
        let folder = builder.folder().display().to_string();
        let mut builder = CommandsBuilder {
            run: run.clone(),
            processes: self.processes.clone(),
            programs: Arc::clone(&self.programs),
            payload,
            builder,
            env: BTreeMap::new(),
        };
        builder.set_env("TASK_ID", id.task_id.as_str())?;
        builder.set_env("RUN_ID", &id.run_id.to_string())?;
        builder.set_env("TASK_FOLDER", &folder)?;
        Ok(Box::new(builder))
    }
}

/// Writes the payload to a file of the worker, which only this user may read.
async fn write_payload(run: &TaskRun) -> Result<TemporaryFile, TaskError> {
    let (storage, payload) = (run.environment.storage.clone(), run.payload().to_string());
    let write = move || {
        let mut file = storage.new_file("payload")?;
        writeln!(file, "{payload}")?;
        Ok::<_, std::io::Error>(file)
    };
    let written = spawn_blocking(write).await.map_err(TaskError::other)?;
    written.map_err(TaskError::other)
}

struct CommandsBuilder {
    run: TaskRun,
    processes: ProcessEngine,
    programs: Arc<Programs>,
    payload: TemporaryFile,
    /// Runs `run`. It owns the folder of the task.
    builder: ProcessSandboxBuilder,
    /// The variables that all programs get.
    env: BTreeMap<String, String>,
}

impl CommandsBuilder {
    /// Returns a builder for another program of the task, or `None` without one.
    async fn other(&self, program: &[String]) -> Result<Option<ProcessSandboxBuilder>, TaskError> {
        if program.is_empty() {
            return Ok(None);
        }
        // The builder has a separate folder, which distinguishes the processes of this program from those of `run`.
        let mut builder = self.processes.new_builder(&self.run, &CAPABILITIES).await?;
        builder.help(&self.builder);
        for (name, value) in &self.env {
            builder.set_env(name, value)?;
        }
        builder.input(self.payload.path());
        builder.command(program)?;
        Ok(Some(builder))
    }
}

#[async_trait]
impl SandboxBuilder for CommandsBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        self.builder.set_env(name, value)?;
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        self.builder.attach_folder(source, target, access)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.builder.attach_copy(source, target)
    }

    async fn start(mut self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        let programs = Arc::clone(&self.programs);
        let prepare = self.other(&programs.prepare).await?;
        let kill = self.other(&programs.kill).await?;
        let cleanup = self.other(&programs.cleanup).await?;
        // Before `prepare`, which may read the inputs.
        let mut run = self.builder.copy_inputs().await?;
        run.input(self.payload.path());
        run.command(&programs.run)?;
        let folder = run.keep_folder();
        let stages = Stages {
            prepare,
            run,
            kill,
            cleanup,
            cleanup_timeout: programs.cleanup_timeout,
            context: self.run.context.clone(),
            folder,
            _payload: self.payload,
        };
        Ok(Arc::new(CommandsSandbox::start(stages)))
    }
}
