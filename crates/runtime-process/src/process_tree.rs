//! All processes of a command: its process group, its control group, and processes that left both.

use std::io;
use std::sync::Arc;

use runtime_core::pre_exec::reset_inherited_state;
use runtime_worker::Exit;
use runtime_worker::report::{CommandReport, TaskReportBuilder, UsageSample};
use rustix::process::{Pid, Signal, kill_process_group, setsid};

use crate::cgroup::Cgroup;
pub(crate) use crate::child_process::ChildProcess;
use crate::child_process::StandardFiles;
use crate::companions::Companion;
use crate::engine_state::EngineState;
use crate::group_limits::OwnUse;
use crate::kill_sequence::KillSignal;
use crate::limits::TaskLimits;
use crate::marks::{CommandMark, TASK_VARIABLE, set_number};
#[cfg(target_os = "linux")]
use crate::memory_watch::CommandMeter;
use crate::oom::{OOM_SCORE_ADJ, OomWatch};
pub(crate) use crate::orphan_search::KilledOrphans;
use crate::output::OutputPump;
use crate::proc;
pub(crate) use crate::start_canceller::StartCanceller;
use crate::start_error::StartError;
use crate::task::PreparedCommand;
use crate::usage::CommandUsage;
use crate::walled_command::ExecRequest;

/// All processes that descend from a command.
pub(crate) struct ProcessTree {
    engine: Arc<EngineState>,
    mark: Arc<CommandMark>,
    /// The leader of the session and the process group; `None` once all processes were killed.
    leader: Option<Pid>,
    cgroup: Arc<Cgroup>,
    oom: OomWatch,
    limits: TaskLimits,
    /// The number of failed forks because of the process limit, until the remaining processes were killed.
    refused_forks: Option<u64>,
    usage: Option<CommandUsage>,
    /// Receives the usage.
    report: Arc<TaskReportBuilder>,
}

impl ProcessTree {
    /// Starts a command as the leader of a new session. Blocks until its program runs, which `control` can end.
    pub(crate) fn spawn(
        command: PreparedCommand,
        control: &StartCanceller,
    ) -> Result<(Self, ChildProcess, OutputPump), StartError> {
        let PreparedCommand {
            mut command,
            input,
            task_folder,
            engine,
            report,
            log,
            limits,
            walls: _,
            proxy_server: _,
        } = command;
        let cgroup = engine.cgroups.create(&limits.of_group(OwnUse::default()));
        let cgroup = cgroup.map_err(io::Error::other);
        let cgroup = cgroup.map_err(StartError::prepare)?;
        let join_files = cgroup.join_files().map_err(StartError::prepare)?;
        let mark = CommandMark::new(engine.orphans.owner(), &task_folder);
        command.env(TASK_VARIABLE, &mark.variable);
        let number = mark.number;
        let prepare = move || {
            setsid()?;
            // In the new session: no process of the worker's session has the mark.
            set_number(number);
            reset_inherited_state()?;
            // The process joins the group itself, before its program runs: if the worker moved it later, children
            // that it had already forked would stay outside.
            for file in &join_files {
                rustix::io::write(file, b"0")?;
            }
            Ok(())
        };
        let oom = OomWatch::start(&engine.settings.vmstat, cgroup.counts_oom_kills());
        let (output, writer) = OutputPump::pipe(log).map_err(StartError::prepare)?;
        // Created before the process, whose group it kills if the start fails half-way.
        let mut tree = Self {
            engine,
            mark: Arc::new(mark),
            leader: None,
            cgroup: Arc::new(cgroup),
            oom,
            limits,
            refused_forks: None,
            usage: None,
            report,
        };
        let (mark, abandoned) = (&tree.mark, &tree.engine.abandoned);
        let files = StandardFiles {
            input: input.as_deref(),
            output: &writer.into(),
        };
        let child = ChildProcess::start(command, files, prepare, control, mark, abandoned)?;
        tree.leader = child.pid();
        if let Some(leader) = tree.leader {
            proc::set_oom_score_adj(leader, OOM_SCORE_ADJ);
            tree.usage = Some(if tree.cgroup.counts_usage() {
                CommandUsage::counted(leader)
            } else {
                tree.engine.sampler.watch(leader)
            });
        }
        Ok((tree, child, output))
    }

    /// Sends a signal to the process group.
    pub(crate) fn signal(&self, signal: KillSignal) {
        let signal = match signal {
            KillSignal::Interrupt => Signal::INT,
            KillSignal::Terminate => Signal::TERM,
            KillSignal::Kill => Signal::KILL,
        };
        if let Some(leader) = self.leader {
            // Fails if the group has ended.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Starts another command in the control group of this one within a time.
    pub(crate) async fn exec(&self, request: ExecRequest, companion: Companion) {
        request.start_in(&self.cgroup, companion).await;
    }

    /// Returns the source of the command's current usage.
    #[cfg(target_os = "linux")]
    pub(crate) fn meter(&self) -> CommandMeter {
        CommandMeter {
            cgroup: Arc::downgrade(&self.cgroup),
            root: self.leader,
        }
    }

    /// Kills the remaining processes after the end of the leader. The leader is not reaped yet, so its pid still
    /// identifies its session and process group. Reports the usage of all processes with the samples.
    pub(crate) async fn kill_remaining(&mut self, samples: Vec<UsageSample>) -> KilledOrphans {
        self.signal(KillSignal::Kill);
        let leader = self.leader.take();
        let (cgroup, engine) = (Arc::clone(&self.cgroup), Arc::clone(&self.engine));
        let mark = Arc::clone(&self.mark);
        let (usage, report) = (self.usage.take(), Arc::clone(&self.report));
        let limits_processes = self.limits.processes.is_some();
        let kill = move || {
            // Before the kill, which may forbid any fork.
            let refused_forks = limits_processes.then(|| cgroup.usage().refused_forks);
            cgroup.end();
            let killed = leader.map_or_else(KilledOrphans::default, |leader| {
                engine.orphans.kill_command(&mark, leader)
            });
            if let Some(usage) = usage {
                let usage = usage.finish(&cgroup.totals());
                report.add_command(CommandReport { usage, samples });
            }
            (killed, refused_forks.flatten())
        };
        // The only possible error is a panic of the closure.
        let killed = self.engine.threads.run(kill).await;
        let (killed, refused_forks) = killed.unwrap_or_default();
        self.refused_forks = refused_forks;
        let remaining = killed.remaining;
        if remaining > 0 {
            let task = self.mark.variable.display();
            let message =
                format_args!("{remaining} processes of the task in `{task}` cannot be ended");
            self.engine.monitor.warn(message);
        }
        killed
    }

    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        self.cgroup.missing_limits()
    }

    /// Returns explanations for the log of a failed command: the limits that it reached.
    pub(crate) fn explain_failure(&self, exit: Exit) -> Vec<String> {
        let kills = self.cgroup.usage().oom_kills;
        let memory = self.oom.explanation(exit, kills, &self.limits);
        let processes = self.limits.explain_refused_forks(self.refused_forks);
        memory.into_iter().chain(processes).collect()
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        self.signal(KillSignal::Kill);
    }
}
