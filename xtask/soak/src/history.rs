//! The record of a soak test, from which the assertions and the report are computed.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime_core::queue::TaskStatus;

use crate::sample::Sample;
use crate::worker::WorkerClaims;

/// A task with its final status.
pub(crate) struct TaskRecord {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) status: TaskStatus,
    /// The defect of its log.
    pub(crate) log_defect: Option<String>,
    /// The error lines of its log, if the resolution is not the expected one.
    pub(crate) errors: String,
}

/// Returns the resolution of a task, such as `completed` or `exception/canceled`.
pub(crate) fn resolution(status: &TaskStatus) -> String {
    let reason = status
        .runs
        .last()
        .and_then(|run| run.reason_resolved.as_ref());
    match reason {
        Some(reason) if status.state.to_string() == "exception" => format!("exception/{reason}"),
        _ => status.state.to_string(),
    }
}

/// The number of resolved tasks by resolution, such as `exception/canceled`.
pub(crate) type ResolvedCounts = BTreeMap<String, usize>;

/// The number of failed calls by method and fault.
pub(crate) type FaultCounts = BTreeMap<(String, String), u64>;

/// The state of the workers and of the tasks at one time.
pub(crate) struct Observation {
    /// Of each worker, unless it was killed.
    pub(crate) workers: Vec<Option<Sample>>,
    pub(crate) server: Option<Sample>,
    pub(crate) resolved: ResolvedCounts,
}

/// The numbers of events, apart from tasks and faults.
#[derive(Default)]
pub(crate) struct EventCounts {
    pub(crate) viewers: usize,
    pub(crate) worker_kills: usize,
    pub(crate) server_kills: usize,
    pub(crate) clock_steps_forward: usize,
    pub(crate) clock_steps_back: usize,
}

/// Everything that was recorded.
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) isolation: String,
    /// The first worker, idle, after the inputs were created.
    pub(crate) before: Sample,
    pub(crate) observations: Vec<Observation>,
    /// The idle workers at the end.
    pub(crate) after: Vec<Sample>,
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) claims: Vec<WorkerClaims>,
    pub(crate) faults: FaultCounts,
    pub(crate) events: EventCounts,
    /// Processes, groups, mounts and files that the workers left on the machine.
    pub(crate) leftovers: Vec<String>,
    /// The programs that failed after SIGTERM.
    pub(crate) failed_exits: Vec<String>,
}

impl History {
    /// Returns the samples of the first worker, which is never killed.
    pub(crate) fn first_worker(&self) -> impl Iterator<Item = &Sample> {
        let observations = self.observations.iter();
        observations.filter_map(|it| it.workers.first()?.as_ref())
    }
}
