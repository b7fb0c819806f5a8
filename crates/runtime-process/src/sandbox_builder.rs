//! The set-up of a task before it starts.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(unix)]
use runtime_core::TemporaryFolder;
use runtime_core::util::is_disk_full;
use runtime_core::webhook::{Handler, WebHookServer as _};
use runtime_core::{Environment, MalformedPayloadError, TaskError};
use runtime_webhook::{HttpLimits, LocalhostServer};
use runtime_worker::{Capability, FolderAccess, Sandbox, SandboxBuilder, TaskRun};

use crate::engine_state::EngineState;
use crate::limits::TaskLimits;
use crate::sandbox::ProcessSandbox;
use crate::task::PreparedTask;
use crate::task_folder::TaskFolder;
use crate::walls::Walls;

/// The maximum number of connections to the proxies of a task, each of which uses a descriptor of the worker. Further
/// connections wait.
const MAX_PROXY_CONNECTIONS: usize = 256;

/// Adds commands, variables, folders, files and proxies to a task before it starts.
///
/// [`ProcessEngine::new_builder`](crate::ProcessEngine::new_builder) creates it for engines with another payload.
///
/// ```
/// # use std::sync::Arc;
/// # use runtime_core::TaskError;
/// use runtime_process::ProcessEngine;
/// use runtime_worker::{Capability, Sandbox, SandboxBuilder, TaskRun};
///
/// /// Starts the tests of a project that is an input of the task.
/// async fn start_tests(engine: &ProcessEngine, run: &TaskRun) -> Result<Arc<dyn Sandbox>, TaskError> {
///     let mut builder = engine.new_builder(run, &[Capability::Copies]).await?;
///     builder.attach_copy("/srv/project".as_ref(), "project")?;
///     builder.command(["make", "-C", "project", "test"])?;
///     Box::new(builder).start().await
/// }
/// ```
pub struct ProcessSandboxBuilder {
    task: PreparedTask,
    environment: Environment,
    /// The variables of the payload.
    payload_env: BTreeMap<String, String>,
    /// The variables that receive the URLs of handlers.
    proxies: Vec<(String, Arc<dyn Handler>)>,
    capabilities: Vec<Capability>,
}

impl ProcessSandboxBuilder {
    /// Creates a builder without commands.
    pub(crate) fn new(
        run: &TaskRun,
        engine: Arc<EngineState>,
        capabilities: Vec<Capability>,
    ) -> io::Result<Self> {
        let folder = TaskFolder::create(&run.environment.storage)?;
        let mut env = engine.settings.env.clone();
        env.entry("HOME".to_owned())
            .or_insert_with(|| folder.path().display().to_string());
        let task = PreparedTask {
            context: run.context.clone(),
            report: Arc::clone(&run.report),
            folder,
            env,
            commands: Vec::new(),
            input: None,
            directory: None,
            limits: engine.settings.limits,
            ends_on_high_memory: true,
            walls: None,
            proxies: Vec::new(),
            proxy_server: None,
            has_exec: capabilities.contains(&Capability::Exec),
            engine,
        };
        Ok(Self {
            task,
            environment: run.environment.clone(),
            payload_env: BTreeMap::new(),
            proxies: Vec::new(),
            capabilities,
        })
    }

    /// Sets the commands, variables and limits of the payload of the process engine.
    pub(crate) fn set_payload(
        &mut self,
        commands: Vec<Vec<String>>,
        env: BTreeMap<String, String>,
        limits: TaskLimits,
    ) -> Result<(), MalformedPayloadError> {
        self.task.commands = commands;
        self.task.limits = limits;
        for (name, value) in env {
            self.set_payload_env(&name, &value)?;
        }
        Ok(())
    }

    /// Returns the folder of the task: the working directory of its commands, and the root of its artifacts. With an
    /// isolation, its path inside of the sandbox is the same.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.task.folder.path()
    }

    /// Adds a command: a program and its arguments. The commands run in order until one fails.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the command is empty.
    pub fn command(
        &mut self,
        command: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<(), MalformedPayloadError> {
        let command: Vec<String> = command.into_iter().map(Into::into).collect();
        if command.is_empty() {
            return Err(MalformedPayloadError::new("a command needs a program"));
        }
        self.task.commands.push(command);
        Ok(())
    }

    /// Sets a variable that the payload of the task contains. A plugin cannot give it another value.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the name or value is invalid.
    pub fn set_payload_env(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<(), MalformedPayloadError> {
        check_variable(name, value)?;
        self.task.env.insert(name.to_owned(), value.to_owned());
        self.payload_env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Sets a file of the worker as the standard input of each command. Default: no input.
    #[cfg(unix)]
    pub fn input(&mut self, file: impl Into<PathBuf>) {
        self.task.input = Some(file.into());
    }

    /// Keeps the folder of the task on disk until the result is dropped.
    #[cfg(unix)]
    pub(crate) fn keep_folder(&self) -> Arc<TemporaryFolder> {
        self.task.folder.keep()
    }

    /// Marks the commands as helpers of those of another builder: they start in the folder of the other task with its
    /// `HOME`, and are not ended when the memory of the machine is low.
    #[cfg(unix)]
    pub(crate) fn help(&mut self, other: &Self) {
        self.task.directory = Some(other.folder().to_owned());
        self.task.ends_on_high_memory = false;
        if let Some(home) = other.task.env.get("HOME") {
            self.task.env.insert("HOME".to_owned(), home.clone());
        }
    }

    fn require(&self, capability: Capability) -> Result<(), MalformedPayloadError> {
        let has = self.capabilities.contains(&capability);
        has.then_some(()).ok_or_else(|| capability.refusal())
    }

    /// Serves the handlers to the task on the task's loopback interface, at URLs that only the task knows.
    async fn start_proxies(&mut self) -> Result<(), TaskError> {
        if self.proxies.is_empty() {
            return Ok(());
        }
        let mut limits = HttpLimits::default();
        limits.max_connections = MAX_PROXY_CONNECTIONS;
        let monitor = self.environment.monitor.clone();
        let server = LocalhostServer::builder().limits(limits).monitor(monitor);
        let walls = self.task.engine.walls.as_ref();
        let started = match walls.and_then(Walls::proxy_port) {
            // Each command brings its listener.
            Some(port) => server.start_without_listener((Ipv4Addr::LOCALHOST, port).into()),
            None => server.start().await.map_err(TaskError::unavailable)?,
        };
        let server = self.task.proxy_server.insert(Arc::new(started));
        for (variable, handler) in self.proxies.drain(..) {
            let hook = server.attach(handler).await.map_err(TaskError::other)?;
            let url = hook.url();
            let url = url.trim_end_matches('/');
            // Other tasks on this machine can reach the address, and may read the live log of this one.
            let secret = url.rsplit('/').next().unwrap_or(url);
            let hidden = self.task.context.redactor().add(secret);
            hidden.map_err(TaskError::other)?;
            self.task.env.insert(variable, url.to_owned());
            self.task.proxies.push(hook);
        }
        Ok(())
    }

    /// Copies the requested inputs into the task's folder, after the disk space for all of them is reserved.
    ///
    /// If the future is dropped, the copies continue on a blocking thread, and the folder is removed afterwards.
    pub(crate) async fn copy_inputs(self) -> Result<Self, TaskError> {
        if !self.task.folder.has_copies() {
            return Ok(self);
        }
        let environment = self.environment.clone();
        let measure = move || (self.task.folder.copies_size(), self);
        let (bytes, mut builder) = run_blocking(measure).await?;
        // Two reservations: the tracker evicts idle resources until the disk has room, and the storage enforces
        // its quota. The first is released after the copies, when the disk shows them as used. The quota counts
        // them until the folder is removed.
        let evicted = environment.resource_tracker.reserve(bytes).await;
        let disk_space = evicted.map_err(TaskError::unavailable)?;
        let quota = environment.storage.reserve(bytes);
        let quota = quota.map_err(TaskError::unavailable)?;
        let copy = move || builder.task.folder.make_copies(quota).map(|()| builder);
        let copied = run_blocking(copy).await?;
        drop(disk_space);
        copied.map_err(|error| {
            if is_disk_full(&error.source) {
                TaskError::unavailable(error)
            } else {
                TaskError::other(error)
            }
        })
    }
}

impl fmt::Debug for ProcessSandboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without variables and commands, which may contain secrets of the task.
        f.debug_struct("ProcessSandboxBuilder")
            .field("folder", &self.folder())
            .finish_non_exhaustive()
    }
}

/// Prepares the walls around a task, whose folder is complete.
async fn raise_walls(mut task: PreparedTask) -> Result<PreparedTask, TaskError> {
    if task.engine.walls.is_none() {
        return Ok(task);
    }
    let raise = move || {
        let walls = task.engine.walls.as_ref();
        let walls = walls.map(|walls| walls.around(&task.folder)).transpose();
        walls.map(|walls| {
            task.walls = walls.map(Arc::new);
            task
        })
    };
    run_blocking(raise).await?.map_err(TaskError::other)
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(TaskError::other)
}

/// Rejects a variable that the operating system cannot represent: std would panic, or fail when the process starts.
fn check_variable(name: &str, value: &str) -> Result<(), MalformedPayloadError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(MalformedPayloadError::new(format!(
            "invalid environment variable `{name}`: a name must not be empty or contain `=`, and neither name nor value may contain a NUL byte"
        )));
    }
    Ok(())
}

#[async_trait]
impl SandboxBuilder for ProcessSandboxBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        self.require(Capability::EnvVars)?;
        check_variable(name, value)?;
        self.task.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn payload_env(&self, name: &str) -> Option<&str> {
        self.payload_env.get(name).map(String::as_str)
    }

    fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        self.require(access.capability())?;
        self.task.folder.attach_folder(source, target, access)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.require(Capability::Copies)?;
        self.task.folder.attach_copy(source, target)
    }

    fn attach_proxy(
        &mut self,
        variable: &str,
        handler: Arc<dyn Handler>,
    ) -> Result<(), MalformedPayloadError> {
        self.require(Capability::Proxies)?;
        check_variable(variable, "")?;
        self.proxies.push((variable.to_owned(), handler));
        Ok(())
    }

    async fn start(mut self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        self.start_proxies().await?;
        let task = raise_walls(self.copy_inputs().await?.task).await?;
        Ok(Arc::new(ProcessSandbox::start(task)))
    }
}
