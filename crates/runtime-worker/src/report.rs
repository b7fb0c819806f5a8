//! Reports about finished tasks: result, artifacts, cache hits and resource usage.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::{Run, StopReason};

use crate::resolution::{Exit, Resolution};

/// The maximum number of commands of a task whose samples are kept: a payload may list thousands.
const MAX_SAMPLED_COMMANDS: usize = 100;

/// A summary of one run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskReport {
    /// The reported run.
    pub run: Run,
    /// The name in the task's metadata.
    pub name: String,
    /// The final state of the run.
    pub resolution: Resolution,
    /// Time from the claim to the resolution.
    pub duration: Duration,
    /// The exit status, if the engine had a result.
    pub exit: Option<Exit>,
    /// The names of the created artifacts.
    pub artifacts: Vec<String>,
    /// Number of inputs and caches found on disk, or fetched for another task at the same time.
    pub cache_hits: u32,
    /// Number of inputs and caches fetched or created.
    pub cache_misses: u32,
    /// Resources used by the task.
    pub usage: Usage,
    /// Resources used by each command of the task, as far as the engine reports them.
    pub commands: Vec<CommandReport>,
}

/// Resources used by one command of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandReport {
    /// The usage until the end of the command.
    pub usage: Usage,
    /// The usage while the command ran, in order. Empty if it ended soon.
    pub samples: Vec<UsageSample>,
}

/// The usage of a running command since its start. The engine leaves out values that it does not measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSample {
    /// The time since the start of the command.
    pub elapsed: Duration,
    /// Current memory in bytes.
    pub memory: Option<u64>,
    /// CPU time in user and kernel mode, summed over all CPUs.
    pub cpu: Option<Duration>,
    /// Bytes read from disks.
    pub disk_read: Option<u64>,
    /// Bytes written to disks.
    pub disk_written: Option<u64>,
    /// The time during which a process of the command waited for memory.
    pub memory_pressure: Option<Duration>,
}

/// Resource usage of a task. The engine leaves out values that it does not measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user and kernel mode, summed over all CPUs.
    pub cpu: Option<Duration>,
    /// Peak resident memory in bytes.
    pub peak_memory: Option<u64>,
    /// Bytes read from disks.
    pub disk_read: Option<u64>,
    /// Bytes written to disks.
    pub disk_written: Option<u64>,
    /// Bytes sent and received.
    pub network: Option<u64>,
}

impl Usage {
    /// Returns the combined usage of two consecutive parts of a task.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        fn join<T: Copy>(a: Option<T>, b: Option<T>, both: fn(T, T) -> T) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(both(a, b)),
                (one, other) => one.or(other),
            }
        }
        Self {
            cpu: join(self.cpu, next.cpu, Duration::saturating_add),
            peak_memory: join(self.peak_memory, next.peak_memory, u64::max),
            disk_read: join(self.disk_read, next.disk_read, u64::saturating_add),
            disk_written: join(self.disk_written, next.disk_written, u64::saturating_add),
            network: join(self.network, next.network, u64::saturating_add),
        }
    }
}

/// Collects the data of a [`TaskReport`] while the task runs.
///
/// Engine and plugins reach it as [`TaskRun::report`](crate::TaskRun::report).
#[derive(Debug)]
pub struct TaskReportBuilder {
    claimed: Instant,
    report: Mutex<TaskReport>,
}

impl TaskReportBuilder {
    /// Creates an empty report and starts to measure the duration of the run.
    #[must_use]
    pub fn new(run: Run, name: String) -> Self {
        let report = TaskReport {
            run,
            name,
            // `finish` replaces it.
            resolution: Resolution::Abandoned(StopReason::ClaimLost),
            duration: Duration::ZERO,
            exit: None,
            artifacts: Vec::new(),
            cache_hits: 0,
            cache_misses: 0,
            usage: Usage::default(),
            commands: Vec::new(),
        };
        Self {
            claimed: Instant::now(),
            report: Mutex::new(report),
        }
    }

    /// Sets the exit status of the task.
    pub fn set_exit(&self, exit: Exit) {
        self.report.lock().exit = Some(exit);
    }

    /// Returns whether the engine had a result.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.report.lock().exit.is_some()
    }

    /// Adds the name of an artifact that was created.
    pub fn add_artifact(&self, name: impl Into<String>) {
        self.report.lock().artifacts.push(name.into());
    }

    /// Counts a cache lookup as a hit or a miss.
    pub fn add_cache_use(&self, hit: bool) {
        let mut report = self.report.lock();
        if hit {
            report.cache_hits += 1;
        } else {
            report.cache_misses += 1;
        }
    }

    /// Sets the total usage so far, replacing the earlier value.
    pub fn set_usage(&self, usage: Usage) {
        self.report.lock().usage = usage;
    }

    /// Adds a command that has ended, and its usage to the total. Of many commands, only the first have samples.
    pub fn add_command(&self, mut command: CommandReport) {
        let mut report = self.report.lock();
        report.usage = report.usage.then(&command.usage);
        if report.commands.len() >= MAX_SAMPLED_COMMANDS {
            command.samples = Vec::new();
        }
        report.commands.push(command);
    }

    /// Returns the usage so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.report.lock().usage
    }

    /// Returns a copy of the unfinished report.
    pub(crate) fn snapshot(&self) -> TaskReport {
        self.report.lock().clone()
    }

    pub(crate) fn finish(&self, resolution: Resolution) -> TaskReport {
        TaskReport {
            resolution,
            duration: self.claimed.elapsed(),
            ..self.snapshot()
        }
    }
}
