//! Reasons for which a run ends without a verdict.

use serde::{Deserialize, Serialize};

/// A reason that a worker may report with `reportException`.
///
/// Closed, because the queue refuses every other text. What one *reads* in a task's status is
/// [`ResolvedReason`](crate::queue::ResolvedReason), which stays open for reasons to come.
///
/// Source: the queue's schema `task-exception-request` of Taskcluster v106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionReason {
    /// The worker had to stop. The queue makes a new run while retries are left.
    WorkerShutdown,
    /// The task asked for something that cannot be: its author must change it. Never retried.
    MalformedPayload,
    /// Something outside of worker and task was missing, such as a server. Not retried.
    ResourceUnavailable,
    /// The worker failed. Not retried.
    InternalError,
    /// The task declared this failure a matter of luck. The queue makes a new run while retries are left.
    IntermittentTask,
}

impl ExceptionReason {
    /// The reason as the queue spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkerShutdown => "worker-shutdown",
            Self::MalformedPayload => "malformed-payload",
            Self::ResourceUnavailable => "resource-unavailable",
            Self::InternalError => "internal-error",
            Self::IntermittentTask => "intermittent-task",
        }
    }
}

impl std::fmt::Display for ExceptionReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
