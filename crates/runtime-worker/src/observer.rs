//! Events about running tasks, for progress displays and status pages.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime_core::{Monitor, Run};

use crate::report::TaskReport;

/// Receives an event at each step of a task.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Receives one event. Must not block.
    ///
    /// # Panics
    ///
    /// A panic is reported to the monitor and does not affect the task.
    fn event(&self, event: &TaskEvent<'_>);
}

/// An event in the life of a task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskEvent<'a> {
    /// The worker claimed the task.
    Claimed {
        /// The claimed run.
        run: &'a Run,
        /// The name in the task's metadata.
        name: &'a str,
    },
    /// The log is available at a URL, which is a secret of the task's viewers.
    LiveLog {
        /// The run that writes the log.
        run: &'a Run,
        /// The URL of the log.
        url: &'a str,
    },
    /// An input is being fetched.
    Fetching {
        /// The run that needs the input.
        run: &'a Run,
        /// The name of the input.
        subject: &'a str,
        /// Bytes received.
        bytes: u64,
        /// Size of the input in bytes, if known.
        total: Option<u64>,
    },
    /// The fetch of an input ended.
    FetchEnded {
        /// The run that needs the input.
        run: &'a Run,
        /// The name of the input.
        subject: &'a str,
        /// Whether the input was fetched completely. Otherwise the fetch failed or was stopped.
        complete: bool,
    },
    /// The engine started the task.
    Started {
        /// The started run.
        run: &'a Run,
    },
    /// The run was resolved. This is the last event of a task.
    Resolved(&'a TaskReport),
}

/// An observer that ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _: &TaskEvent<'_>) {}
}

/// Passes an event to an observer and reports a panic of the observer to the monitor.
pub(crate) fn notify(observer: &dyn Observer, event: &TaskEvent<'_>, monitor: &Monitor) {
    if catch_unwind(AssertUnwindSafe(|| observer.event(event))).is_err() {
        monitor.error("an observer panicked");
    }
}
