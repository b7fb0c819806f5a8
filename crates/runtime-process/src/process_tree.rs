//! All processes of a command: its process group, its control group, and processes that left both.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use runtime_core::pre_exec::reset_inherited_state;
use rustix::process::{Pid, Signal, kill_process_group, setsid};

use crate::cgroup::Cgroup;
pub(crate) use crate::child_process::ChildProcess;
use crate::engine_state::EngineState;
use crate::kill_sequence::KillSignal;
use crate::orphans::{TASK_MARKER, reap_orphans};
use crate::output::OutputPump;
use crate::proc;
use crate::task::PreparedTask;
use crate::usage::UsageSampler;

/// The OOM score adjustment of tasks: the kernel prefers to kill them before the worker. Raising the score needs
/// no privileges.
const OOM_SCORE_ADJ: i32 = 500;

const OOM_IN_TASK: &str =
    "Out of memory: the task exceeded its memory limit, and the kernel killed one of its processes";
const OOM_ON_MACHINE: &str = "Out of memory: the machine ran out of memory, and the kernel killed a process, most likely of this task";

/// All processes that descend from a command.
pub(crate) struct ProcessTree {
    engine: Arc<EngineState>,
    /// The task's folder, which is the value of the marker.
    folder: PathBuf,
    /// The leader of the session and the process group; `None` once the group was killed.
    leader: Option<Pid>,
    cgroup: Arc<Cgroup>,
    machine_oom_kills_before: Option<u64>,
    usage: Option<UsageSampler>,
}

impl ProcessTree {
    /// Starts a command as the leader of a new session.
    pub(crate) fn spawn(
        mut command: Command,
        task: &PreparedTask,
    ) -> io::Result<(Self, ChildProcess, OutputPump)> {
        let engine = Arc::clone(&task.engine);
        let folder = task.folder.path().to_owned();
        let cgroup = engine.create_cgroup().map_err(io::Error::other)?;
        let join_files = cgroup.join_files()?;
        command.env(TASK_MARKER, &folder);
        let prepare = move || {
            setsid()?;
            reset_inherited_state()?;
            // The process joins the group itself, before its program runs: if the worker moved it later, children
            // that it had already forked would stay outside.
            for file in &join_files {
                rustix::io::write(file, b"0")?;
            }
            Ok(())
        };
        let machine_oom_kills_before = proc::oom_kills(&engine.settings.vmstat);
        let (output, writer) = OutputPump::pipe(task.context.log_drain())?;
        let child = ChildProcess::start(command, writer.into(), prepare, &engine.children)?;
        let leader = child.pid();
        if let Some(leader) = leader {
            proc::set_oom_score_adj(leader, OOM_SCORE_ADJ);
        }
        let tree = Self {
            engine,
            folder,
            leader,
            cgroup: Arc::new(cgroup),
            machine_oom_kills_before,
            usage: leader.map(|leader| UsageSampler::start(leader, Arc::clone(&task.report))),
        };
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

    /// Kills all processes that remain after the leader was reaped. Returns the number of processes that were in
    /// neither of the two groups.
    pub(crate) async fn kill_remaining(&mut self) -> usize {
        self.signal(KillSignal::Kill);
        // The leader is reaped. Once its group is empty, the kernel may give the id to another process.
        self.leader = None;
        let cgroup = Arc::clone(&self.cgroup);
        // The only possible error is a panic of the closure.
        let _ = tokio::task::spawn_blocking(move || cgroup.end()).await;
        if let Some(usage) = self.usage.take() {
            usage.finish(&self.cgroup.usage()).await;
        }
        let (folder, engine) = (self.folder.clone(), Arc::clone(&self.engine));
        let kill_orphans = move || {
            let killed = engine.orphans.kill_task(&folder);
            if engine.settings.adopts_orphans {
                // The lock keeps a child that starts meanwhile from being reaped here.
                let children = engine.children.lock();
                reap_orphans(|pid| children.contains(pid));
            }
            killed
        };
        // The only possible error is a panic of the closure.
        tokio::task::spawn_blocking(kill_orphans).await.unwrap_or(0)
    }

    /// Returns an explanation for the log if the kernel killed a process since the start because memory ran out.
    pub(crate) fn oom_explanation(&self) -> Option<&'static str> {
        // Each command has a new control group, so its count starts at zero.
        if let Some(kills) = self.cgroup.usage().oom_kills {
            return (kills > 0).then_some(OOM_IN_TASK);
        }
        // Without a group, only the machine's count is known: the killed process may belong to another task.
        let kills = proc::oom_kills(&self.engine.settings.vmstat)?;
        (kills > self.machine_oom_kills_before?).then_some(OOM_ON_MACHINE)
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        self.signal(KillSignal::Kill);
    }
}
