//! What is told about a task: events while it runs, and a report at its end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::{Monitor, Run};

use crate::{Exit, Resolution};

/// Hears what happens to tasks, for progress bars and reports. Calls must not block; one that panics costs nothing
/// but an error in the monitor.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Hears one event.
    fn event(&self, event: &TaskEvent<'_>);
}

/// Tells an observer. That it panics must not cost a task anything.
pub(crate) fn tell(observer: &dyn Observer, event: &TaskEvent<'_>, monitor: &Monitor) {
    let told = catch_unwind(AssertUnwindSafe(|| observer.event(event)));
    if told.is_err() {
        monitor.error("an observer panicked");
    }
}

/// Something that happened to a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskEvent<'a> {
    /// The worker holds the task now.
    Claimed {
        /// The run.
        run: &'a Run,
        /// The name in the task's metadata.
        name: &'a str,
    },
    /// The log can be followed at a URL, which is a secret of the task's viewers.
    LiveLog {
        /// The run.
        run: &'a Run,
        /// Where.
        url: &'a str,
    },
    /// An input arrives.
    Fetching {
        /// The run.
        run: &'a Run,
        /// What arrives.
        subject: &'a str,
        /// Bytes so far.
        bytes: u64,
        /// All bytes, if known.
        total: Option<u64>,
    },
    /// An input is there, or its fetch failed.
    Fetched {
        /// The run.
        run: &'a Run,
        /// What arrived.
        subject: &'a str,
    },
    /// The task itself runs.
    Started {
        /// The run.
        run: &'a Run,
    },
    /// Nothing more happens to the task.
    Resolved(&'a TaskReport),
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _: &TaskEvent<'_>) {}
}

/// What a task used, as far as its engine measures it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time of processors, in user and kernel mode, summed over all of them.
    pub cpu: Option<Duration>,
    /// The most memory that was resident at a time, in bytes.
    pub peak_memory: Option<u64>,
    /// Bytes that disks had to read.
    pub disk_read: Option<u64>,
    /// Bytes that disks have to write.
    pub disk_written: Option<u64>,
    /// Bytes sent and received.
    pub network: Option<u64>,
}

impl Usage {
    /// What two parts of a task used, one after the other.
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

/// What is to be told about a task at its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskReport {
    /// The run.
    pub run: Run,
    /// The name in the task's metadata.
    pub name: String,
    /// How it ended.
    pub resolution: Resolution,
    /// From the claim to the end.
    pub duration: Duration,
    /// How the task itself ended, if it did.
    pub exit: Option<Exit>,
    /// The artifacts that were declared, by name.
    pub artifacts: Vec<String>,
    /// Inputs and caches that were there already.
    pub cache_hits: u32,
    /// Inputs and caches that had to be made.
    pub cache_misses: u32,
    /// What the task used.
    pub usage: Usage,
}

/// Collects what the report will say.
#[derive(Debug, Default)]
pub struct TaskRecord {
    facts: Mutex<Facts>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    exit: Option<Exit>,
    artifacts: Vec<String>,
    pub(crate) cache_hits: u32,
    pub(crate) cache_misses: u32,
    pub(crate) usage: Usage,
}

impl TaskRecord {
    /// Notes how the task itself ended.
    pub fn set_exit(&self, exit: Exit) {
        self.facts.lock().exit = Some(exit);
    }

    /// Reports whether the task itself has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.facts.lock().exit.is_some()
    }

    /// Notes an artifact that was declared.
    pub fn add_artifact(&self, name: impl Into<String>) {
        self.facts.lock().artifacts.push(name.into());
    }

    /// Notes that something was asked of a cache, and whether it was there.
    pub fn add_cache_use(&self, hit: bool) {
        let mut facts = self.facts.lock();
        if hit {
            facts.cache_hits += 1;
        } else {
            facts.cache_misses += 1;
        }
    }

    /// Notes what the task has used so far, in place of what was noted before.
    pub fn set_usage(&self, usage: Usage) {
        self.facts.lock().usage = usage;
    }

    /// What the task has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.facts.lock().usage
    }

    pub(crate) fn facts(&self) -> Facts {
        self.facts.lock().clone()
    }

    pub(crate) fn report(
        &self,
        run: Run,
        name: String,
        resolution: Resolution,
        duration: Duration,
    ) -> TaskReport {
        let Facts {
            exit,
            artifacts,
            cache_hits,
            cache_misses,
            usage,
        } = self.facts();
        TaskReport {
            run,
            name,
            resolution,
            duration,
            exit,
            artifacts,
            cache_hits,
            cache_misses,
            usage,
        }
    }
}
