//! The record of a soak test, from which the assertions and the report are computed.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use runtime_mocks::taskcluster::TaskSnapshot;

use crate::faults::InjectedRule;
use crate::sample::Sample;
use crate::worker::ClaimCounts;

/// A task with its final status.
pub(crate) struct TaskRecord {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) status: TaskSnapshot,
    /// The error lines of its log, if the resolution is not the expected one.
    pub(crate) errors: String,
}

/// The number of resolved tasks by resolution, such as `exception/canceled`.
pub(crate) type ResolvedCounts = BTreeMap<String, usize>;

/// The state of the worker and of the tasks at one time.
pub(crate) struct Observation {
    pub(crate) sample: Sample,
    pub(crate) resolved: ResolvedCounts,
}

/// Everything that was recorded.
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    /// The idle worker, after the inputs were created.
    pub(crate) before: Sample,
    pub(crate) observations: Vec<Observation>,
    /// The idle worker at the end.
    pub(crate) after: Sample,
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) claims: ClaimCounts,
    pub(crate) faults: Vec<InjectedRule>,
    pub(crate) viewers: usize,
    /// The number of leftover processes of tasks: after the last task, and after the exit of the worker.
    pub(crate) leftovers: (usize, usize),
    pub(crate) exit_status: ExitStatus,
}
