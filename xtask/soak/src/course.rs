//! What happened in a soak, as the report and the verdict need it.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use runtime_mocks::taskcluster::{TaskSnapshot, TaskState};

use crate::faults::Injected;
use crate::sample::Sample;
use crate::worker::Told;

/// A task, and what the queue says of it in the end.
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) end: &'static str,
    pub(crate) status: TaskSnapshot,
    /// What its log gives as reasons, if it did not end as it should.
    pub(crate) errors: String,
}

/// How many tasks had ended how.
pub(crate) type Ended = BTreeMap<String, usize>;

/// What was seen at a time.
pub(crate) struct Look {
    pub(crate) sample: Sample,
    pub(crate) ended: Ended,
}

/// What happened.
pub(crate) struct Course {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    /// Without tasks, after the inputs were made.
    pub(crate) before: Sample,
    pub(crate) looks: Vec<Look>,
    /// Without tasks, in the end.
    pub(crate) after: Sample,
    pub(crate) tasks: Vec<Task>,
    pub(crate) told: Told,
    pub(crate) faults: Vec<Injected>,
    pub(crate) viewers: usize,
    /// Processes of tasks that still ran after the last task, and after the worker.
    pub(crate) strays: (usize, usize),
    pub(crate) status: ExitStatus,
}

/// How a task ended, such as `completed` or `exception/canceled`.
pub(crate) fn end(status: &TaskSnapshot) -> String {
    match status.reason_resolved() {
        Some(reason) if status.state == TaskState::Exception => format!("exception/{reason}"),
        _ => format!("{:?}", status.state).to_lowercase(),
    }
}
