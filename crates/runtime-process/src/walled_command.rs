//! A command behind walls.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::BoxError;
use runtime_sandbox::{
    Cgroup, Isolation, SandboxChild, SandboxCommand, SandboxExit, SpawnError, SpawnStep, StdStream,
};
use runtime_worker::Exit;
use runtime_worker::report::{CommandReport, TaskReportBuilder, Usage, UsageSample};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::companions::Companion;
use crate::kill_sequence::KillSignal;
use crate::limits::TaskLimits;
use crate::marks::TASK_VARIABLE;
use crate::memory_watch::CommandMeter;
use crate::oom::{OOM_SCORE_ADJ, OomWatch};
use crate::output::OutputPump;
use crate::proc;
use crate::program_lookup::ProgramLookup;
use crate::search_path::candidate_paths;
use crate::start_error::{StartError, StartStep};
use crate::task::PreparedCommand;
use crate::walls::{TaskWalls, Walls};

/// The interpreter of executable files without a `#!` line, as in `execvp`.
const SHELL: &str = "/bin/sh";

/// A request to start another command behind the walls and in the control group of a running one.
pub(crate) struct ExecRequest {
    pub(crate) command: SandboxCommand,
    pub(crate) reply: ExecReply,
}

type ExecReply = oneshot::Sender<Result<(SandboxChild, Companion), BoxError>>;

/// The time that another command has to start.
const EXEC_TIMEOUT: Duration = Duration::from_secs(10);

impl ExecRequest {
    /// Starts the command in the control group of a running one without walls, within a time.
    pub(crate) async fn start_in(self, cgroup: &Arc<Cgroup>, companion: Companion) {
        let command = self.command.isolation(Isolation::none());
        let starting = command.join_cgroup(cgroup).spawn();
        answer(self.reply, starting, companion).await;
    }
}

/// Replies with a command that starts within a time, or with the error.
async fn answer(
    reply: ExecReply,
    starting: impl Future<Output = Result<SandboxChild, SpawnError>>,
    companion: Companion,
) {
    let limit = EXEC_TIMEOUT;
    let started = match timeout(limit, starting).await {
        Ok(started) => started
            .map(|child| (child, companion))
            .map_err(BoxError::from),
        Err(_) => {
            let message = format!("it did not start within {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, message).into())
        }
    };
    // Fails if nothing waits for it, which drops the command.
    let _ = reply.send(started);
}

/// A running command behind walls. All its processes are killed when this value is dropped.
pub(crate) struct WalledCommand {
    child: SandboxChild,
    exit: Option<SandboxExit>,
    /// Receives the usage.
    report: Arc<TaskReportBuilder>,
    oom: OomWatch,
    limits: TaskLimits,
    /// Accepts connections to the task's proxies, until it is dropped.
    _proxies: JoinSet<()>,
}

impl WalledCommand {
    /// Starts a command. Returns when its program runs.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, the command is killed or not started.
    pub(crate) async fn start(
        command: PreparedCommand,
        walls: &TaskWalls,
    ) -> Result<(Self, OutputPump), StartError> {
        let oom = OomWatch::start(&command.engine.settings.vmstat, false);
        let log = command.log.clone();
        let (output, writer) = OutputPump::pipe(log).map_err(StartError::prepare)?;
        let start = WalledStart {
            command: &command,
            walls,
            writer: writer.into(),
        };
        let mut child = start.run().await?;
        drop(start);
        let mut proxies = JoinSet::new();
        for listener in std::mem::take(&mut child.listeners) {
            if let Some(server) = command.proxy_server.upgrade() {
                proxies.spawn(server.serve(listener));
            }
        }
        // The init process if the command has ended.
        let leader = child.command_id().or(child.id());
        let leader = leader.and_then(|it| Pid::from_raw(it.cast_signed()));
        if let Some(leader) = leader {
            proc::set_oom_score_adj(leader, OOM_SCORE_ADJ);
        }
        let started = Self {
            child,
            exit: None,
            report: Arc::clone(&command.report),
            oom,
            limits: command.limits,
            _proxies: proxies,
        };
        Ok((started, output))
    }

    /// Starts another command behind the same walls within a time.
    pub(crate) async fn exec(&self, request: ExecRequest, companion: Companion) {
        answer(request.reply, self.child.exec(request.command), companion).await;
    }

    /// Sends a signal to the process group of the command.
    pub(crate) fn signal(&self, signal: KillSignal) {
        let signal = match signal {
            KillSignal::Interrupt => Signal::INT,
            KillSignal::Terminate => Signal::TERM,
            KillSignal::Kill => Signal::KILL,
        };
        // Fails only if the command does not take any of many signals.
        let _ = self.child.signal(signal.as_raw());
    }

    /// Waits until the command and all its processes have ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let exit = self.child.wait().await?;
        self.exit = Some(exit);
        Ok(exit.status)
    }

    /// Kills all processes and waits for their end.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.exit = Some(self.child.kill(Duration::ZERO).await?);
        Ok(())
    }

    /// Returns the source of the command's current usage.
    pub(crate) fn meter(&self) -> CommandMeter {
        let root = self.child.id();
        CommandMeter {
            cgroup: (self.child.cgroup()).map_or_else(Weak::new, Arc::downgrade),
            root: root.and_then(|it| Pid::from_raw(it.cast_signed())),
        }
    }

    /// Reports the usage of the command, which has ended, with its samples.
    pub(crate) fn report_usage(&self, samples: Vec<UsageSample>) {
        let Some(exit) = &self.exit else { return };
        // Without a group, the kernel has counted all processes that the init process reaped.
        let (group, reaped) = (exit.cgroup, exit.usage);
        let usage = Usage {
            cpu: group.cpu.or(Some(reaped.user_time + reaped.system_time)),
            peak_memory: group.peak_memory.or(Some(reaped.max_process_memory)),
            disk_read: group.disk_read.or(Some(reaped.disk_read)),
            disk_written: group.disk_written.or(Some(reaped.disk_written)),
            network: None,
        };
        self.report.add_command(CommandReport { usage, samples });
    }

    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        self.child.missing_limits()
    }

    /// Returns explanations for the log of a failed command: the limits that it reached.
    pub(crate) fn explain_failure(&self, exit: Exit) -> Vec<String> {
        let group = self.exit.map(|exit| exit.cgroup).unwrap_or_default();
        let memory = self.oom.explanation(exit, group.oom_kills, &self.limits);
        let processes = self.limits.explain_refused_forks(group.refused_forks);
        memory.into_iter().chain(processes).collect()
    }
}

/// A start of a command behind walls.
struct WalledStart<'a> {
    command: &'a PreparedCommand,
    walls: &'a TaskWalls,
    /// The standard output and error of the command.
    writer: OwnedFd,
}

impl WalledStart<'_> {
    async fn run(&self) -> Result<SandboxChild, StartError> {
        let program = self.command.command.get_program();
        let arguments: Vec<_> = self.command.command.get_args().collect();
        let error = match self.spawn(program, &arguments).await? {
            Ok(child) => return Ok(child),
            Err(error) => error,
        };
        // A file that names no interpreter is the shell's.
        let is_script =
            matches!(&error, SpawnError::Execute { source, .. } if is_unknown_format(source));
        if let Some(script) = is_script.then(|| self.find_program()).flatten() {
            let arguments: Vec<_> = [script.as_os_str()].into_iter().chain(arguments).collect();
            let started = self.spawn(SHELL.as_ref(), &arguments).await?;
            return started.map_err(start_error);
        }
        Err(start_error(error))
    }

    /// Starts a program. The outer error is one of the preparation, the inner error one of the start.
    async fn spawn(
        &self,
        program: &OsStr,
        arguments: &[&OsStr],
    ) -> Result<Result<SandboxChild, SpawnError>, StartError> {
        let PreparedCommand {
            command,
            task_folder,
            engine,
            limits,
            ..
        } = self.command;
        let stream = || self.writer.try_clone().map(StdStream::File);
        let mut walled = SandboxCommand::new(program)
            .args(arguments)
            .current_dir(task_folder)
            .stdin(self.input()?)
            .stdout(stream().map_err(StartError::prepare)?)
            .stderr(stream().map_err(StartError::prepare)?)
            .limits(limits.of_group(self.walls.own_use()))
            .cgroup_parents(&engine.cgroups);
        let has_proxies = self.command.proxy_server.strong_count() > 0;
        let port = engine.walls.as_ref().and_then(Walls::proxy_port);
        if let Some(port) = port.filter(|_| has_proxies) {
            walled = walled.listen(port);
        }
        let variables = command.get_envs();
        for (name, value) in variables.filter_map(|(name, value)| Some((name, value?))) {
            walled = walled.env(name, value);
        }
        let mark = engine.orphans.owner().variable(task_folder);
        walled = walled.env(TASK_VARIABLE, mark);
        Ok(self.walls.apply(walled).spawn().await)
    }

    fn input(&self) -> Result<StdStream, StartError> {
        let Some(path) = &self.command.input else {
            return Ok(StdStream::Null);
        };
        let file = File::open(path).map_err(StartError::prepare)?;
        Ok(StdStream::File(file.into()))
    }

    /// Returns the executable file that the kernel found for the program. Its path in the sandbox is the same.
    fn find_program(&self) -> Option<std::path::PathBuf> {
        let ProgramLookup {
            program,
            folder,
            search_path,
            ..
        } = self.command.origin();
        let mut candidates = candidate_paths(&program, &search_path);
        candidates.find(|path| rustix::fs::access(folder.join(path), Access::EXEC_OK).is_ok())
    }
}

fn is_unknown_format(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOEXEC)
}

fn start_error(error: SpawnError) -> StartError {
    match error {
        SpawnError::Execute { source, .. } => StartError::execute(source),
        SpawnError::Step {
            step: SpawnStep::WorkingDirectory,
            source,
            ..
        } => StartError {
            step: StartStep::WorkingFolder,
            source,
        },
        error => StartError::prepare(io::Error::other(error)),
    }
}
