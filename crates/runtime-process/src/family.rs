//! All processes of a command: its group, its control group, and those that left both.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use runtime_core::pre_exec::reset_inherited_state;
use runtime_core::{LogDrain, TemporaryStorage};
use runtime_worker::{TaskRecord, Usage};
use rustix::process::{Pid, Signal as Unix, kill_process_group, setsid};

use crate::cgroup::{self, Cgroup};
use crate::engine::{Cgroups, Shared};
use crate::ladder::Signal;
use crate::output::Output;
use crate::proc::oom_kills;
pub(crate) use crate::start::Process;
use crate::strays::{MARKER, reap_orphans};
use crate::usage::Sampler;

/// What the leader of a family, and all who descend from it, belong to.
pub(crate) struct Family {
    shared: Arc<Shared>,
    folder: PathBuf,
    /// The leader of a session and a group of its own; `None` once the group is gone.
    leader: Option<Pid>,
    cgroup: Option<Cgroup>,
    oom_kills_before: Option<u64>,
    record: Arc<TaskRecord>,
    /// What the commands before this one used.
    used_before: Usage,
    sampler: Option<Sampler>,
}

/// More likely to be killed than the worker when memory runs out. Everybody may raise this.
const OOM_SCORE: &str = "500";

impl Family {
    /// Starts a command as the leader of a family.
    pub(crate) fn spawn(
        mut command: Command,
        shared: &Arc<Shared>,
        folder: PathBuf,
        record: &Arc<TaskRecord>,
        log: LogDrain,
    ) -> io::Result<(Process, Output, Self)> {
        let (cgroup, door) = new_cgroup(shared).unzip();
        command.env(MARKER, &folder);
        let prepare = move || {
            setsid()?;
            reset_inherited_state()?;
            if let Some(door) = &door {
                rustix::io::write(door, b"0")?;
            }
            Ok(())
        };
        let mut family = Self {
            shared: Arc::clone(shared),
            folder,
            leader: None,
            oom_kills_before: oom_kills(&shared.settings.vmstat),
            cgroup,
            record: Arc::clone(record),
            used_before: record.usage(),
            sampler: None,
        };
        let (output, writer) = Output::pipe(log)?;
        let process = Process::start(command, writer.into(), prepare, &shared.processes)?;
        family.leader = process.pid();
        if let Some(leader) = family.leader {
            let leader = leader.as_raw_nonzero();
            family.sampler = Some(Sampler::start(leader.get(), Arc::clone(record)));
            // Fails where the leader ended already.
            let _ = std::fs::write(format!("/proc/{leader}/oom_score_adj"), OOM_SCORE);
        }
        Ok((process, output, family))
    }

    /// Sends a signal to the group.
    pub(crate) fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Interrupt => Unix::INT,
            Signal::Terminate => Unix::TERM,
            Signal::Kill => Unix::KILL,
        };
        if let Some(leader) = self.leader {
            // That the group is gone already is what we want.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Kills all that is left after the leader ended and was waited for; returns how many had left the
    /// group.
    pub(crate) async fn end(&mut self) -> usize {
        self.signal(Signal::Kill);
        // The number may soon be another group's.
        self.leader = None;
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
            cgroup.emptied().await;
        }
        self.note_usage().await;
        let (folder, shared) = (self.folder.clone(), Arc::clone(&self.shared));
        let sweep = move || {
            let strays = shared.search.kill_of_task(&folder);
            if shared.settings.adopts_orphans {
                let processes = shared.processes.lock();
                reap_orphans(|pid| processes.started.contains(&pid));
            }
            strays
        };
        // The only error is a panic of the closure.
        tokio::task::spawn_blocking(sweep).await.unwrap_or(0)
    }

    /// A control group has counted to the end; samples have not.
    async fn note_usage(&mut self) {
        if let Some(sampler) = self.sampler.take() {
            sampler.stop().await;
        }
        if let Some(usage) = self.cgroup.as_ref().and_then(Cgroup::usage) {
            self.record.set_usage(self.used_before.then(&usage));
        }
    }

    /// Whether a process was killed meanwhile because memory ran out: `Some(true)` if it was surely one of
    /// these, `Some(false)` if it may have been another one of this machine.
    pub(crate) fn killed_for_memory(&self) -> Option<bool> {
        // A control group is new with each command, and so is its count.
        if let Some(of_group) = self.cgroup.as_ref().and_then(Cgroup::oom_kills) {
            return (of_group > 0).then_some(true);
        }
        let now = oom_kills(&self.shared.settings.vmstat)?;
        (now > self.oom_kills_before?).then_some(false)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}

/// A control group for a command, if they are wanted and this user may make one.
fn new_cgroup(shared: &Shared) -> Option<(Cgroup, File)> {
    let parent = match &shared.settings.cgroups {
        Cgroups::Never => return None,
        Cgroups::BelowOwn => cgroup::own()?,
        Cgroups::Below(parent) => parent.clone(),
    };
    let number = shared.cgroups.fetch_add(1, Ordering::Relaxed);
    let name = format!("task-{}-{number}", std::process::id());
    Cgroup::create(&parent, &name).ok()
}

/// Does what has to be done before the first task: becomes the one to whom orphans come, if that is
/// wanted, and ends what workers that were killed left running on this storage.
pub(crate) fn prepare(shared: &Shared, storage: &TemporaryStorage) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if shared.settings.adopts_orphans {
        // The value only has to be there; the kernel takes it as "yes".
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    }
    shared.search.kill_of_dead_workers(storage);
    Ok(())
}
