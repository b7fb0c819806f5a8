//! The engine and its settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use runtime_core::{Section, TaskError, TemporaryStorage};
use runtime_worker::TaskRun;
use runtime_worker::payload::schema_of;
use runtime_worker::{Engine, SandboxBuilder};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::builder::ProcessBuilder;
use crate::family;
use crate::folder::TaskFolder;
use crate::ladder::StopSignals;
use crate::payload::ProcessPayload;

/// Runs tasks as processes of this machine.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_process::{StopSignals, ProcessEngine};
/// let engine = ProcessEngine::new()
///     .env("PATH", "/opt/tools:/usr/bin:/bin")
///     .ladder(StopSignals::new(Duration::from_secs(7), Duration::from_secs(3)));
/// # let _ = engine;
/// ```
#[derive(Clone, Debug)]
pub struct ProcessEngine {
    settings: Settings,
    shared: Arc<OnceCell<Arc<Shared>>>,
}

/// What can be told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    env: BTreeMap<String, String>,
    pub(crate) ladder: StopSignals,
    pub(crate) adopts_orphans: bool,
    pub(crate) cgroups: Cgroups,
    /// Where the machine counts what it killed for lack of memory.
    pub(crate) vmstat: PathBuf,
}

/// Where control groups are made.
#[derive(Clone, Debug)]
pub(crate) enum Cgroups {
    Never,
    BelowOwn,
    Below(#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix makes them"))] PathBuf),
}

/// What all sandboxes of an engine use together.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The processes that this engine started and waits for.
    #[cfg(unix)]
    pub(crate) processes: Arc<parking_lot::Mutex<crate::start::Processes>>,
    /// How many control groups were made.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix makes them"))]
    pub(crate) cgroups: AtomicU64,
    /// Finds what tasks leave running.
    #[cfg(unix)]
    pub(crate) search: crate::strays::Search,
}

impl ProcessEngine {
    /// Makes an engine whose tasks see `PATH` as `/usr/local/bin:/usr/bin:/bin`, and `HOME` as their folder.
    ///
    /// A task inherits no variable of the worker, since those may hold credentials.
    #[must_use]
    pub fn new() -> Self {
        let path = "/usr/local/bin:/usr/bin:/bin".to_owned();
        let settings = Settings {
            env: BTreeMap::from([("PATH".to_owned(), path)]),
            ladder: StopSignals::default(),
            adopts_orphans: false,
            cgroups: Cgroups::BelowOwn,
            vmstat: "/proc/vmstat".into(),
        };
        Self {
            settings,
            shared: Arc::default(),
        }
    }

    /// Sets a variable that all tasks see unless they set it themselves.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.env.insert(name.into(), value.into());
        self
    }

    /// The signals that a task gets when it is stopped, and the time to obey each.
    #[must_use]
    pub fn ladder(mut self, ladder: StopSignals) -> Self {
        self.settings.ladder = ladder;
        self
    }

    /// Makes this process the one to which orphans of tasks come (Linux: child subreaper), so that no
    /// zombies pile up where process 1 does not reap them, as in many containers. Off by default,
    /// because it is a property of the whole process.
    #[must_use]
    pub fn adopt_orphans(mut self, adopt: bool) -> Self {
        self.settings.adopts_orphans = adopt;
        self
    }

    /// Makes a control group (v2) for each command below `parent`, which must be delegated to this user.
    /// By default, below the worker's own group, where that is permitted.
    #[must_use]
    pub fn cgroups_below(mut self, parent: impl Into<PathBuf>) -> Self {
        self.settings.cgroups = Cgroups::Below(parent.into());
        self
    }

    /// Reads elsewhere than in `/proc/vmstat` how often the machine killed a process because memory ran out,
    /// such as in a container that sees the machine's `/proc` at another place.
    #[must_use]
    pub fn vmstat(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.vmstat = file.into();
        self
    }

    /// Makes no control groups.
    #[must_use]
    pub fn without_cgroups(mut self) -> Self {
        self.settings.cgroups = Cgroups::Never;
        self
    }

    /// Does once what has to be done before the first task: what workers that were killed left running
    /// on this storage must not slow down the tasks of this one.
    async fn shared(&self, storage: &TemporaryStorage) -> Result<Arc<Shared>, TaskError> {
        let begin = || async {
            let shared = Arc::new(Shared {
                settings: self.settings.clone(),
                #[cfg(unix)]
                processes: Arc::default(),
                cgroups: AtomicU64::new(0),
                #[cfg(unix)]
                search: crate::strays::Search::default(),
            });
            let (ready, storage) = (Arc::clone(&shared), storage.clone());
            let prepared = tokio::task::spawn_blocking(move || family::prepare(&ready, &storage));
            prepared
                .await
                .map_err(TaskError::other)?
                .map_err(TaskError::other)?;
            Ok::<_, TaskError>(shared)
        };
        self.shared.get_or_try_init(begin).await.cloned()
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
            goes to the task's log in the order in which it was written. What they leave running is
            ended with them.
            ",
        )]
    }

    async fn new_sandbox_builder(
        &self,
        run: &TaskRun,
    ) -> Result<Box<dyn SandboxBuilder>, TaskError> {
        let payload: ProcessPayload = run.payload_as()?;
        let shared = self.shared(&run.environment.storage).await?;
        let folder = TaskFolder::create(&run.environment.storage).map_err(TaskError::other)?;
        let mut env = self.settings.env.clone();
        env.entry("HOME".to_owned())
            .or_insert_with(|| folder.path().display().to_string());
        let mut builder = ProcessBuilder::new(run, folder, env, shared);
        for (name, value) in &payload.env {
            builder.set_env(name, value)?;
        }
        builder.set_commands(payload.command.into_list());
        Ok(Box::new(builder))
    }
}
