//! Samples the running commands in one tokio task, and ends the one that uses most memory when the machine is about to
//! run out of memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::util::ByteSize;
use runtime_worker::report::UsageSample;
use rustix::process::Pid;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::cgroup::{Cgroup, CgroupUsage};
use crate::high_memory::HighMemoryPolicy;
use crate::memory_timer::{HighMemoryTimer, MachineMemory};
use crate::proc;
use crate::tree_memory::memory_of_trees;
use crate::usage_curve::UsageCurve;

/// The interval at which the memory of the machine is read, and the minimum interval between samples.
const INTERVAL: Duration = Duration::from_millis(500);

/// The maximum interval between samples, even if they take long.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// The minimum ratio of an interval to the duration of the samples before it, unless memory is low: samples take at most
/// a quarter percent of a core, for any number of commands and processes.
const MIN_INTERVAL_RATIO: u32 = 400;

/// Watches the running commands of an engine. Its work ends when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryWatch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: HighMemoryPolicy,
    /// The file in which the kernel counts the memory of the machine.
    meminfo: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    commands: BTreeMap<u64, Command>,
    next_id: u64,
    timer: HighMemoryTimer,
    passes: Option<JoinHandle<()>>,
    /// The next time at which samples are taken.
    next_samples: Option<Instant>,
    /// The memory of the commands that ended since the current pass read that of the machine, in bytes.
    ended_memory: u64,
}

#[derive(Debug)]
struct Command {
    meter: CommandMeter,
    started: Instant,
    curve: UsageCurve,
    /// Receives the reason for the end of the command. `None` once it was sent, or if the command is not ended.
    end: Option<oneshot::Sender<String>>,
}

/// The source of a command's usage: its control group if that counts memory, otherwise its processes.
#[derive(Clone, Debug)]
pub(crate) struct CommandMeter {
    /// Weak, so that the watch does not delay the removal of the group.
    pub(crate) cgroup: Weak<Cgroup>,
    /// The process from which all others of the command descend, or whose session they are in.
    pub(crate) root: Option<Pid>,
}

/// A command that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct WatchedCommandGuard {
    id: u64,
    shared: Arc<Shared>,
    end: oneshot::Receiver<String>,
}

impl MemoryWatch {
    pub(crate) fn new(settings: HighMemoryPolicy, meminfo: PathBuf) -> Self {
        Self(Arc::new(Shared {
            settings,
            meminfo,
            state: Mutex::default(),
        }))
    }

    /// Watches a command that has just started. The command may be ended when memory is low, or is only sampled.
    pub(crate) fn watch(&self, meter: CommandMeter, is_ended: bool) -> WatchedCommandGuard {
        let (sender, end) = oneshot::channel();
        let mut state = self.0.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        let command = Command {
            meter,
            started: Instant::now(),
            curve: UsageCurve::default(),
            end: is_ended.then_some(sender),
        };
        state.commands.insert(id, command);
        // The task also ends with its runtime.
        // Under the same lock as the end of idle passes: they see this command, or have ended and
        // are started again here.
        let runs = state.passes.as_ref().is_some_and(|it| !it.is_finished());
        if !runs {
            let passes = make_passes(Arc::clone(&self.0));
            state.passes = Some(tokio::spawn(passes));
        }
        drop(state);
        WatchedCommandGuard {
            id,
            shared: Arc::clone(&self.0),
            end,
        }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        if let Some(passes) = self.0.state.lock().passes.take() {
            passes.abort();
        }
    }
}

impl WatchedCommandGuard {
    /// Waits until the command has to end, and returns the reason for the log of its task.
    ///
    /// # Cancel safety
    ///
    /// Safe until it returns. Call it only once.
    pub(crate) async fn must_end(&mut self) -> String {
        match (&mut self.end).await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    }

    /// Ends the sampling of the command, and returns the samples.
    pub(crate) fn finish(self) -> Vec<UsageSample> {
        let command = self.shared.state.lock().remove(self.id);
        command.map_or_else(Vec::new, |command| command.curve.into_samples())
    }
}

impl Drop for WatchedCommandGuard {
    fn drop(&mut self) {
        self.shared.state.lock().remove(self.id);
    }
}

/// Repeats passes until no command runs.
async fn make_passes(shared: Arc<Shared>) {
    loop {
        sleep(INTERVAL).await;
        if shared.stop_if_idle() {
            return;
        }
        let pass = {
            let shared = Arc::clone(&shared);
            spawn_blocking(move || shared.pass())
        };
        // The only possible error is a panic. The next command starts the passes again.
        if pass.await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Ends the passes if no command runs. The next command starts them again.
    fn stop_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let is_idle = state.commands.is_empty();
        if is_idle {
            state.passes = None;
            // Low memory before a pause without commands says nothing about the tasks after it.
            state.timer = HighMemoryTimer::default();
        }
        is_idle
    }

    /// Samples all commands if that is due or memory is low, and chooses one that must end.
    fn pass(&self) {
        let now = Instant::now();
        let machine = self.read_machine();
        let is_low = machine.is_some_and(|memory| self.settings.is_exceeded(memory));
        let mut samples = BTreeMap::new();
        if let Some(meters) = self.due_meters(is_low, now) {
            samples = take_samples(meters);
        }
        self.add_and_decide(now, machine, samples);
    }

    /// Starts a pass with the memory of the machine.
    fn read_machine(&self) -> Option<MachineMemory> {
        self.state.lock().ended_memory = 0;
        // Read outside of the lock, like the samples: the start and the end of each command take
        // it.
        proc::machine_memory(&self.meminfo)
    }

    fn add_and_decide(
        &self,
        now: Instant,
        machine: Option<MachineMemory>,
        samples: BTreeMap<u64, CgroupUsage>,
    ) {
        let mut state = self.state.lock();
        if !samples.is_empty() {
            let pause = now.elapsed().saturating_mul(MIN_INTERVAL_RATIO);
            state.next_samples = Some(now + pause.clamp(INTERVAL, MAX_INTERVAL));
        }
        for (id, usage) in samples {
            if let Some(command) = state.commands.get_mut(&id) {
                command.add(&usage, now);
            }
        }
        // The largest command may have ended since the memory was read. Another one must not end for it: the next pass
        // decides, with the memory that is then available.
        let is_outdated = |memory: MachineMemory| {
            let available = memory.available.saturating_add(state.ended_memory);
            let current = MachineMemory {
                available,
                ..memory
            };
            self.settings.is_exceeded(memory) && !self.settings.is_exceeded(current)
        };
        if machine.is_some_and(is_outdated) {
            return;
        }
        if state.timer.update(&self.settings, machine, now)
            && let Some(machine) = machine
        {
            state.end_largest(&self.settings, machine);
        }
    }

    /// Returns the meters of all commands, or `None` if it is not yet time for samples.
    fn due_meters(&self, is_low: bool, now: Instant) -> Option<Vec<(u64, CommandMeter)>> {
        let state = self.state.lock();
        let is_due = is_low || state.next_samples.is_none_or(|next| next <= now);
        let meters = state.commands.iter();
        is_due.then(|| meters.map(|(id, it)| (*id, it.meter.clone())).collect())
    }
}

/// Reads the usage of commands, by their ids.
fn take_samples(meters: Vec<(u64, CommandMeter)>) -> BTreeMap<u64, CgroupUsage> {
    let mut samples = BTreeMap::new();
    let (mut ids, mut roots) = (Vec::new(), Vec::new());
    for (id, meter) in meters {
        let usage = meter.cgroup.upgrade().map(|group| group.sample());
        match (usage, meter.root) {
            (Some(usage), _) if usage.memory.is_some() => {
                samples.insert(id, usage);
            }
            (_, Some(root)) => {
                ids.push(id);
                roots.push(root.as_raw_nonzero().get());
            }
            _ => {}
        }
    }
    for (id, memory) in ids.into_iter().zip(memory_of_trees(&roots)) {
        let memory = Some(memory);
        let usage = CgroupUsage {
            memory,
            ..CgroupUsage::default()
        };
        samples.insert(id, usage);
    }
    samples
}

impl Command {
    fn add(&mut self, usage: &CgroupUsage, now: Instant) {
        self.curve.push(UsageSample {
            elapsed: now.saturating_duration_since(self.started),
            memory: usage.memory,
            cpu: usage.cpu,
            disk_read: usage.disk_read,
            disk_written: usage.disk_written,
            memory_pressure: usage.memory_pressure.map(|pressure| pressure.some),
        });
    }
}

impl State {
    /// Removes a command that has ended.
    fn remove(&mut self, id: u64) -> Option<Command> {
        let command = self.commands.remove(&id)?;
        let memory = command.curve.memory().unwrap_or_default();
        self.ended_memory = self.ended_memory.saturating_add(memory);
        Some(command)
    }

    /// Ends the command that uses most memory, if it uses enough.
    fn end_largest(&mut self, settings: &HighMemoryPolicy, machine: MachineMemory) {
        // The current memory and not the peak: only that becomes free.
        let commands = self.commands.values_mut().filter(|it| it.end.is_some());
        let Some(largest) = commands.max_by_key(|command| command.curve.memory()) else {
            return;
        };
        let memory = largest.curve.memory().unwrap_or_default();
        if memory < settings.min_use() {
            return;
        }
        // Taken, so that a command that takes long to die is not chosen again.
        if let Some(end) = largest.end.take() {
            // Fails if the command has just ended.
            let _ = end.send(reason(settings, machine, &largest.curve));
        }
    }
}

/// Returns the line for the log of a task that is ended.
fn reason(settings: &HighMemoryPolicy, machine: MachineMemory, curve: &UsageCurve) -> String {
    let memory = ByteSize(curve.memory().unwrap_or_default());
    let (available, total) = (ByteSize(machine.available), ByteSize(machine.total));
    let (min, percent) = (ByteSize(settings.min_available), settings.max_used_percent);
    let (duration, curve) = (settings.duration.as_secs_f64(), curve.describe());
    format!(
        "Out of memory: the worker ended this task, which uses {memory}, the most of all tasks, because only {available} \
         of the machine's {total} are available. Less than {min}, with more than {percent}% in use, are permitted for \
         {duration} s. Memory of the task: {curve}"
    )
}

#[cfg(test)]
mod tests;
