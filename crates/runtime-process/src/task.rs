//! A task that is ready to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Weak};

use runtime_core::webhook::WebHook;
use runtime_core::{LogDrain, TaskContext};
use runtime_webhook::LocalhostServer;
use runtime_worker::report::TaskReportBuilder;

use crate::engine_state::EngineState;
use crate::limits::TaskLimits;
use crate::program_lookup::ProgramLookup;
use crate::search_path::DEFAULT_PATH;
use crate::task_folder::TaskFolder;
use crate::walls::TaskWalls;

/// The commands of a task, and the data that the start of their processes needs.
pub(crate) struct PreparedTask {
    pub(crate) context: TaskContext,
    /// The report of the task, which receives the resource usage of its commands.
    pub(crate) report: Arc<TaskReportBuilder>,
    pub(crate) folder: TaskFolder,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) commands: Vec<Vec<String>>,
    /// The standard input of the commands; `None` for none.
    pub(crate) input: Option<PathBuf>,
    /// The working directory, if it is not `folder`. Without walls only.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) limits: TaskLimits,
    /// Whether a command may be ended when the memory of the machine is low.
    pub(crate) ends_on_high_memory: bool,
    /// The walls around the commands, if the engine has any. Set when the folder has its content.
    pub(crate) walls: Option<Arc<TaskWalls>>,
    /// The proxies of the task. They end with it.
    pub(crate) proxies: Vec<WebHook>,
    /// The server of the proxies, if there are any. Each task has a server, so that no task can exhaust the connections
    /// of another.
    pub(crate) proxy_server: Option<Arc<LocalhostServer>>,
    /// Whether further commands may be started in the task.
    #[cfg_attr(
        not(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )),
        expect(dead_code, reason = "only a sandbox can start them")
    )]
    pub(crate) has_exec: bool,
    pub(crate) engine: Arc<EngineState>,
}

impl PreparedTask {
    /// Returns a command of the task with all data that its start needs.
    pub(crate) fn prepare(&self, arguments: &[String]) -> PreparedCommand {
        let mut command = Command::new(&arguments[0]);
        command
            .args(&arguments[1..])
            .current_dir(self.directory.as_deref().unwrap_or(self.folder.path()))
            .env_clear()
            .envs(&self.env);
        PreparedCommand {
            command,
            input: self.input.clone(),
            task_folder: self.folder.path().to_owned(),
            engine: Arc::clone(&self.engine),
            report: Arc::clone(&self.report),
            log: self.context.log_drain(),
            limits: self.limits,
            walls: self.walls.clone(),
            proxy_server: (self.proxy_server.as_ref()).map_or_else(Weak::new, Arc::downgrade),
        }
    }
}

/// A command that is ready to start. It contains no references, because it is started on another thread.
#[cfg_attr(not(unix), expect(dead_code, reason = "only Unix tracks processes"))]
pub(crate) struct PreparedCommand {
    pub(crate) command: Command,
    /// The standard input; `None` for none.
    pub(crate) input: Option<PathBuf>,
    pub(crate) task_folder: PathBuf,
    pub(crate) engine: Arc<EngineState>,
    /// Receives the resource usage of the command.
    pub(crate) report: Arc<TaskReportBuilder>,
    pub(crate) log: LogDrain,
    pub(crate) limits: TaskLimits,
    pub(crate) walls: Option<Arc<TaskWalls>>,
    /// The server of the task's proxies. A weak reference, so that the server ends with the task even if this start
    /// hangs.
    #[cfg_attr(
        not(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )),
        expect(dead_code, reason = "only a sandbox has another network")
    )]
    pub(crate) proxy_server: Weak<LocalhostServer>,
}

impl PreparedCommand {
    pub(crate) fn origin(&self) -> ProgramLookup {
        let mut variables = self.command.get_envs();
        let search_path = variables.find(|(name, _)| *name == "PATH");
        let search_path = search_path.and_then(|(_, value)| value);
        ProgramLookup {
            program: self.command.get_program().to_owned(),
            folder: self.task_folder.clone(),
            search_path: search_path.unwrap_or(DEFAULT_PATH.as_ref()).to_owned(),
            walls: self.walls.clone(),
        }
    }
}
