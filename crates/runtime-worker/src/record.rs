//! What is told about a task: events while it runs, and a report at its end.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use runtime_core::Run;

use crate::{Exit, Resolution};

/// Hears what happens to tasks, for progress bars and reports. Calls must not block.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Hears one event.
    fn event(&self, event: &TaskEvent<'_>);
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
}

/// Collects what the report will say.
#[derive(Debug, Default)]
pub struct TaskRecord {
    facts: Mutex<Facts>,
}

#[derive(Clone, Debug, Default)]
struct Facts {
    exit: Option<Exit>,
    artifacts: Vec<String>,
    cache_hits: u32,
    cache_misses: u32,
}

impl TaskRecord {
    /// Notes how the task itself ended.
    pub fn set_exit(&self, exit: Exit) {
        self.facts.lock().exit = Some(exit);
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
        } = self.facts.lock().clone();
        TaskReport {
            run,
            name,
            resolution,
            duration,
            exit,
            artifacts,
            cache_hits,
            cache_misses,
        }
    }
}
