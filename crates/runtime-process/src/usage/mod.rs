//! The resource usage of commands.
//!
//! A control group counts the usage exactly. Without a group, the processes of a command are sampled. One pass samples
//! the processes of all commands, so the cost does not grow with the product of commands and processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::{mem::MaybeUninit, ptr};

use parking_lot::Mutex;
use runtime_worker::report::Usage;
use rustix::process::Pid;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::cgroup::CgroupUsage;
use crate::proc::{self, DiskIo, ProcStat, ProcessKey};

/// The delay of the first pass after the start of a command. Each following delay is twice as long, up to the maximum:
/// even short commands get a sample, and long ones cost little.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The minimum ratio of a delay to the duration of the pass before it: passes take at most half a percent of a core,
/// for any number of processes.
const MIN_DELAY_RATIO: u32 = 200;

/// Clock ticks per second in `/proc`: the ABI constant `USER_HZ`, 100 on all architectures that Rust supports.
const TICKS_PER_SECOND: u32 = 100;

/// The unit of disk traffic in `rusage`.
#[cfg(target_os = "linux")]
const BLOCK_BYTES: u64 = 512;

/// Samples the usage of running commands. It is inactive while no commands run.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageSampler(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    others: Mutex<UnsampledProcesses>,
    /// Notified when a command starts before the next pass is due.
    started: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The sampled commands by their sessions.
    sessions: BTreeMap<i32, SessionSamples>,
    /// The tokio task for the passes, and the time of the next pass.
    passes: Option<(JoinHandle<()>, Instant)>,
}

/// Processes outside of all sampled sessions. They are not read again, because a process can only move to a new
/// session, which it leads.
type UnsampledProcesses = BTreeSet<ProcessKey>;

/// The usage of a running command.
#[derive(Debug)]
pub(crate) struct CommandUsage {
    leader: i32,
    /// `None` if a control group counts.
    sampler: Option<UsageSampler>,
}

impl UsageSampler {
    /// Samples the processes of the session that `leader` leads.
    pub(crate) fn watch(&self, leader: Pid) -> CommandUsage {
        let leader = leader.as_raw_nonzero().get();
        let mut state = self.0.state.lock();
        // Under the lock of `stop_if_idle`: either the passes go on for this session, or they have
        // ended and are started below.
        state.sessions.insert(leader, SessionSamples::default());
        let due = Instant::now() + FIRST_DELAY;
        match &state.passes {
            // The task also ends with its runtime.
            Some((passes, next)) if !passes.is_finished() => {
                if due < *next {
                    self.0.started.notify_one();
                }
            }
            _ => {
                let passes = tokio::spawn(make_passes(Arc::clone(&self.0), due));
                state.passes = Some((passes, due));
            }
        }
        drop(state);
        CommandUsage {
            leader,
            sampler: Some(self.clone()),
        }
    }
}

impl CommandUsage {
    /// Returns the usage of a command whose control group counts it.
    pub(crate) fn counted(leader: Pid) -> Self {
        Self {
            leader: leader.as_raw_nonzero().get(),
            sampler: None,
        }
    }

    /// Returns the usage of the command. The leader has ended, and is not reaped yet.
    pub(crate) fn finish(self, counted: &CgroupUsage) -> Usage {
        let sampled = self.stop_sampling().map(|samples| samples.usage());
        let sampled = sampled.unwrap_or_default();
        let ended = usage_of_ended(self.leader);
        Usage {
            // The larger one of two lower bounds: samples miss what follows the last pass, and the
            // kernel's count misses processes that the leader did not wait for.
            cpu: counted.cpu.or(ended.cpu.max(sampled.cpu)),
            peak_memory: counted.peak_memory.or(sampled.peak_memory),
            disk_read: (counted.disk_read).or(ended.disk_read.max(sampled.disk_read)),
            disk_written: (counted.disk_written).or(ended.disk_written.max(sampled.disk_written)),
            network: None,
        }
    }

    fn stop_sampling(&self) -> Option<SessionSamples> {
        let mut state = self.sampler.as_ref()?.0.state.lock();
        state.sessions.remove(&self.leader)
    }
}

impl Drop for CommandUsage {
    fn drop(&mut self) {
        self.stop_sampling();
    }
}

/// Returns the usage of a child that has ended, and of the processes that it has waited for.
///
/// This may be less than the usage of the command, because the process may not have waited for all of its children. The
/// memory is unknown: the count of the kernel includes the worker's memory, which the process used before it executed
/// its program.
#[cfg(target_os = "linux")]
fn usage_of_ended(pid: i32) -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let (info, flags) = (
        ptr::null_mut::<libc::siginfo_t>(),
        libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
    );
    #[expect(
        unsafe_code,
        reason = "neither libc nor rustix returns the usage without reaping"
    )]
    // SAFETY: the kernel accepts no information, and writes at most one `rusage`, for which zeros are valid.
    let (result, usage) = unsafe {
        let call = libc::SYS_waitid;
        let result = libc::syscall(call, libc::P_PID, pid, info, flags, usage.as_mut_ptr());
        (result, usage.assume_init())
    };
    if result != 0 {
        return Usage::default();
    }
    let count = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Usage {
        cpu: Some(time(usage.ru_utime) + time(usage.ru_stime)),
        peak_memory: None,
        disk_read: Some(BLOCK_BYTES * count(usage.ru_inblock)),
        disk_written: Some(BLOCK_BYTES * count(usage.ru_oublock)),
        network: None,
    }
}

#[cfg(not(target_os = "linux"))]
fn usage_of_ended(_: i32) -> Usage {
    Usage::default()
}

fn duration(cpu_ticks: u64) -> Duration {
    Duration::from_millis(cpu_ticks * u64::from(1000 / TICKS_PER_SECOND))
}

/// Repeats passes until no command is sampled.
async fn make_passes(shared: Arc<Shared>, first: Instant) {
    let (mut due, mut delay, mut not_before) = (first, FIRST_DELAY, first);
    loop {
        tokio::select! {
            () = sleep_until(due) => {
                if shared.stop_if_idle() {
                    return;
                }
                let start = Instant::now();
                let Some(cost) = shared.pass().await else { return };
                delay = (delay * 2).min(MAX_DELAY);
                not_before = start + cost * MIN_DELAY_RATIO;
                due = not_before.max(start + delay);
            }
            () = shared.started.notified() => {
                delay = FIRST_DELAY;
                due = due.min(Instant::now() + delay).max(not_before);
            }
        }
        shared.set_next(due);
    }
}

impl Shared {
    /// Ends the passes if no command is sampled. The next command starts them again.
    fn stop_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let is_idle = state.sessions.is_empty();
        if is_idle {
            state.passes = None;
        }
        is_idle
    }

    fn set_next(&self, due: Instant) {
        if let Some((_, next)) = &mut self.state.lock().passes {
            *next = due;
        }
    }

    /// Samples all processes of commands. Returns how long this took; `None` after a panic.
    async fn pass(self: &Arc<Self>) -> Option<Duration> {
        let shared = Arc::clone(self);
        let pass = spawn_blocking(move || {
            let start = Instant::now();
            shared.sample();
            start.elapsed()
        });
        pass.await.ok()
    }

    fn sample(&self) {
        let mut others = self.others.lock();
        let mut members = BTreeMap::<i32, Vec<Sample>>::new();
        for session in self.state.lock().sessions.keys() {
            members.insert(*session, Vec::new());
        }
        let mut still_others = UnsampledProcesses::new();
        for key in proc::process_keys() {
            // A leader may have been seen before it created its session.
            if others.contains(&key) && !members.contains_key(&key.pid) {
                still_others.insert(key);
                continue;
            }
            let Some(session) = proc::session(key.pid) else {
                continue;
            };
            let Some(members) = members.get_mut(&session) else {
                still_others.insert(key);
                continue;
            };
            if let Some(stat) = proc::stat(key.pid) {
                let disk = proc::disk_io(key.pid);
                members.push(Sample { stat, disk });
            }
        }
        *others = still_others;
        let mut state = self.state.lock();
        for (session, members) in members {
            if let Some(samples) = state.sessions.get_mut(&session) {
                samples.update(members);
            }
        }
    }
}

/// The latest sample of each process of a session. The sample of an ended process is kept.
#[derive(Debug, Default)]
struct SessionSamples {
    by_process: BTreeMap<i32, Sample>,
    peak_memory: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    stat: ProcStat,
    disk: DiskIo,
}

impl SessionSamples {
    fn update(&mut self, members: Vec<Sample>) {
        let memory = members
            .iter()
            .map(|sample| sample.stat.resident_memory)
            .sum();
        self.peak_memory = self.peak_memory.max(memory);
        let members = members.into_iter().map(|sample| (sample.stat.pid, sample));
        self.by_process.extend(members);
    }

    fn usage(&self) -> Usage {
        // Before the first pass, nothing is known.
        if self.by_process.is_empty() {
            return Usage::default();
        }
        let sum = |field: fn(&Sample) -> u64| self.by_process.values().map(field).sum::<u64>();
        Usage {
            cpu: Some(duration(sum(|sample| sample.stat.cpu_ticks))),
            peak_memory: Some(self.peak_memory),
            disk_read: Some(sum(|sample| sample.disk.read)),
            disk_written: Some(sum(|sample| sample.disk.written)),
            network: None,
        }
    }
}

#[cfg(test)]
mod tests;
