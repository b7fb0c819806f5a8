//! The engine and its builder methods.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(doc)]
use runtime_core::TemporaryStorage;
#[cfg(unix)]
use runtime_core::error_chain;
use runtime_core::{Environment, Section, TaskError};
use runtime_worker::payload::schema_of;
use runtime_worker::{Capability, Engine, SandboxBuilder, TaskRun};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::engine_state::EngineState;
#[cfg(unix)]
use crate::group_limits::probe_settings;
use crate::high_memory::HighMemoryPolicy;
use crate::isolation::{TaskIsolation, TaskNetwork};
use crate::kill_sequence::KillSequence;
use crate::limits::TaskLimits;
use crate::payload::ProcessPayload;
use crate::sandbox_builder::ProcessSandboxBuilder;
use crate::settings::{CgroupSetting, EngineSettings};
use crate::walls::Walls;

/// Runs tasks as processes of the worker's machine.
#[derive(Clone, Debug, Default)]
pub struct ProcessEngine {
    settings: EngineSettings,
    /// The state is created when a worker starts, because it needs the worker's storage. Clones share it.
    state: Arc<OnceCell<Arc<EngineState>>>,
}

impl ProcessEngine {
    /// Creates an engine with default settings.
    ///
    /// In tasks, `PATH` is `/usr/local/bin:/usr/bin:/bin`, and `HOME` is the task's folder. Tasks inherit no variables
    /// of the worker, because these may contain credentials. Variables of the payload and of plugins override the
    /// defaults. If payload and plugins set a variable to different values, this is an error. Each process also has the
    /// variable `RUNTIME_WORKER_TASK`, by which the engine finds it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an environment variable for all tasks. The payload and plugins override it.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.env.insert(name.into(), value.into());
        self
    }

    /// Sets the signals that stop a task, with their timeouts. Default: five seconds for each signal.
    #[must_use]
    pub fn kill_sequence(mut self, sequence: KillSequence) -> Self {
        self.settings.kill_sequence = sequence;
        self
    }

    /// Sets whether this process becomes the parent of the orphans of tasks and reaps them (Linux: child subreaper),
    /// even if control groups can end all processes of tasks. Without such groups, the engine always adopts orphans,
    /// because they could hide from it otherwise. Isolated tasks have no orphans. Default: `false`, because the setting
    /// affects the whole process.
    ///
    /// Use it if process 1 does not reap orphans, as in many containers, where zombies would accumulate. Orphans of
    /// processes that other parts of the program started are adopted too, but are neither killed nor reaped.
    #[must_use]
    pub fn adopt_orphans(mut self, adopt: bool) -> Self {
        self.settings.adopts_orphans = adopt;
        self
    }

    /// Sets the control group below which the groups of commands are created. `parent` is its folder, in the hierarchy
    /// of version 2 or in one of version 1. Groups at the same path in other hierarchies are used too. The group must
    /// be delegated to this user. Default: the worker's groups, if this user may create groups there.
    #[must_use]
    pub fn cgroup_parent(mut self, parent: impl Into<PathBuf>) -> Self {
        self.settings.cgroups = CgroupSetting::Below(parent.into());
        self
    }

    /// Disables control groups.
    #[must_use]
    pub fn without_cgroups(mut self) -> Self {
        self.settings.cgroups = CgroupSetting::Disabled;
        self
    }

    /// Sets the walls around tasks. Default: [`TaskIsolation::None`].
    ///
    /// If this machine cannot have a wall, the worker does not start.
    #[must_use]
    pub fn isolation(mut self, isolation: TaskIsolation) -> Self {
        self.settings.isolation = isolation;
        self
    }

    /// Sets the network of isolated tasks. Default: [`TaskNetwork::Host`].
    #[must_use]
    pub fn network(mut self, network: TaskNetwork) -> Self {
        self.settings.network = network;
        self
    }

    /// Adds a folder or file of the machine that isolated tasks see, read-only, in addition to the system folders:
    /// `/usr`, `/bin`, `/sbin`, `/lib*`, and `/etc` except for files that usually contain secrets.
    #[must_use]
    pub fn visible_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.visible_paths.push(path.into());
        self
    }

    /// Hides a file or folder in a visible folder from isolated tasks, such as the configuration of the worker in
    /// `/etc`. It appears empty.
    #[must_use]
    pub fn hidden_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.hidden_paths.push(path.into());
        self
    }

    /// Sets the limits of each command. They are the defaults for tasks, and the maximum values that payloads may ask
    /// for. Default: no limits.
    ///
    /// If this machine cannot have a limit, the worker does not start, unless [`TaskLimits::best_effort`] is set.
    #[must_use]
    pub fn limits(mut self, limits: TaskLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the thresholds of the machine's memory at which the worker ends the command that uses most memory. Default:
    /// [`HighMemoryPolicy::default`].
    #[must_use]
    pub fn abort_on_high_memory(mut self, high_memory: HighMemoryPolicy) -> Self {
        self.settings.high_memory = high_memory;
        self
    }

    /// Sets the file in which the kernel counts the memory of the machine. Default: `/proc/meminfo`.
    ///
    /// Use it in a container that provides its memory limit in another file of this format.
    #[must_use]
    pub fn meminfo(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.meminfo = file.into();
        self
    }

    /// Sets the file in which the kernel counts the OOM kills of the machine. Default: `/proc/vmstat`.
    ///
    /// Use it in a container that has the machine's `/proc` mounted at another path.
    #[must_use]
    pub fn vmstat(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.vmstat = file.into();
        self
    }

    /// Kills the processes that dead workers left running, and blocks until they have ended, for at most about five
    /// seconds. `dead` are the process folders of these workers in a storage.
    ///
    /// Pass it to [`TemporaryStorage::open_with_cleanup`], so that the processes do not write into folders that are
    /// being removed. The engine also kills these processes itself, but later, when its worker starts.
    ///
    /// ```
    /// # use runtime_core::{StorageOptions, TemporaryStorage};
    /// # use runtime_process::ProcessEngine;
    /// # let root = tempfile::tempdir()?;
    /// let options = StorageOptions::default();
    /// let storage = TemporaryStorage::open_with_cleanup(root.path(), options, |folders| {
    ///     ProcessEngine::kill_leftovers(folders);
    /// })?;
    /// # drop(storage);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_leftovers(process_folders: &[&Path]) {
        #[cfg(unix)]
        crate::containment::end_folders(process_folders);
        #[cfg(not(unix))]
        let _ = process_folders;
    }

    /// Creates a builder for another engine, which reads the payload of its tasks and adds their commands.
    ///
    /// The builder provides everything else: the folder of the task, variables, folders, copies and proxies, the log,
    /// the end of all processes, the usage, and artifacts. The settings of this engine apply. The builder has those of
    /// the given `capabilities` that this engine has, and returns an error when another one is used.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] if this engine cannot run tasks on this machine, or cannot create the folder.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, no files are left.
    pub async fn new_builder(
        &self,
        run: &TaskRun,
        capabilities: &[Capability],
    ) -> Result<ProcessSandboxBuilder, TaskError> {
        let engine = self.state(&run.environment).await?;
        let own = self.capabilities().iter().copied();
        let capabilities = own.filter(|it| capabilities.contains(it)).collect();
        ProcessSandboxBuilder::new(run, engine, capabilities).map_err(TaskError::other)
    }

    /// Returns the state that all tasks share. The first call creates it.
    async fn state(&self, environment: &Environment) -> Result<Arc<EngineState>, TaskError> {
        let prepare = || async {
            let (settings, environment) = (self.settings.clone(), environment.clone());
            let walls = Walls::prepare(&settings, &environment.storage).await;
            let walls = walls.map_err(TaskError::other)?;
            let prepared = tokio::task::spawn_blocking(move || {
                EngineState::prepare(settings, walls, &environment)
            });
            let prepared = prepared.await.map_err(TaskError::other)?;
            prepared.map(Arc::new).map_err(TaskError::other)
        };
        self.state.get_or_try_init(prepare).await.cloned()
    }
}

#[async_trait]
impl Engine for ProcessEngine {
    fn name(&self) -> &'static str {
        "process"
    }

    fn payload_schema(&self) -> Value {
        schema_of::<ProcessPayload>()
    }

    fn capabilities(&self) -> &[Capability] {
        // Ordered so that the capabilities that depend on the settings are at the ends.
        const ALL: [Capability; 6] = [
            Capability::Proxies,
            Capability::EnvVars,
            Capability::Folders,
            Capability::Copies,
            Capability::Exec,
            Capability::ReadOnlyFolders,
        ];
        // Known when the engine is prepared: a filter of sockets, instead of a network namespace, has no listeners.
        let walls = self.state.get().and_then(|it| it.walls.as_ref());
        let start = usize::from(walls.is_some_and(|it| it.no_proxies().is_some()));
        let has_sandbox = cfg!(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        ));
        let end = match (self.settings.isolation, has_sandbox) {
            // Without a mount namespace, a task could change the folder.
            (TaskIsolation::None, true) => ALL.len() - 1,
            (TaskIsolation::None, false) => ALL.len() - 2,
            _ => ALL.len(),
        };
        &ALL[start..end]
    }

    fn documentation(&self) -> Vec<Section> {
        let commands = Section::new(
            "Commands",
            "
            `command` is a program with its arguments, or a list of such commands, which run in order until
            one fails. Commands start in the task's folder, which is also `HOME`. Their environment has the variables
            in `env`, but none of the worker's variables. Standard output and standard error are written to the task's
            log, in their original order. Processes that a command leaves running are killed when it ends.
            ",
        );
        let isolation = Section::new(
            "Isolation",
            "
            Commands see only the system folders of the machine, read-only, and the task's folder, caches and
            inputs. Each command starts with an empty `/tmp` in memory, and sees only its own processes. Commands have
            no privileges, even with `sudo` and other setuid programs.
            ",
        );
        let limits = Section::new("Limits", &limits_text(&self.settings.limits));
        match self.settings.isolation {
            TaskIsolation::None => vec![commands, limits],
            TaskIsolation::User | TaskIsolation::Strict => vec![commands, isolation, limits],
        }
    }

    #[cfg(unix)]
    async fn containment(&self) -> Vec<String> {
        let settings = self.settings.clone();
        let describe = move || {
            let placement = &settings.cgroups;
            let cgroups = crate::containment::find_cgroups(placement);
            let walls = match Walls::of(&settings) {
                Ok(walls) => crate::containment::describe(walls.as_ref(), &settings, &cgroups),
                Err(error) => error.to_string(),
            };
            let limits = probe_settings(&settings, &cgroups).err();
            let limits = limits.map(|error| error_chain(&error));
            [walls].into_iter().chain(limits).collect()
        };
        // Fails only if the closure panics.
        let described = tokio::task::spawn_blocking(describe).await;
        described.unwrap_or_default()
    }

    async fn prepare(&self, environment: &Environment) -> Result<(), TaskError> {
        self.state(environment).await.map(drop)
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload: ProcessPayload = run.payload_as()?;
        let engine = self.state(&run.environment).await?;
        let limits = engine.limits_of(&payload).await?;
        let mut builder = self.new_builder(run, self.capabilities()).await?;
        builder.set_payload(payload.command.into_list(), payload.env, limits)?;
        Ok(Box::new(builder))
    }
}

/// Describes the limits for authors of tasks.
fn limits_text(limits: &TaskLimits) -> String {
    let best_effort = if limits.best_effort {
        "If the machine cannot have a limit, the task runs without it, and its log states this."
    } else {
        "If the machine cannot have a limit, the payload is malformed."
    };
    let has_defaults = limits.needs_group() || limits.disk.is_some();
    let defaults = if has_defaults {
        format!("The defaults, which are also the maximum values, are {limits}.")
    } else {
        "By default, there are no limits.".to_owned()
    };
    format!(
        "
        `maxMemory` (such as `512 MiB`), `maxProcesses` (processes and threads) and `maxCpus` (such as `1.5`) limit all
        processes of each command together, and `maxDisk` (such as `10 GiB`) the task's folder without caches. {defaults}
        {best_effort} If a command exceeds its memory, one of its processes is killed. If it has too many processes, it cannot
        create more. If such a command fails, the log states the limit. If the folder is too large, the worker kills
        the command.
        "
    )
}
