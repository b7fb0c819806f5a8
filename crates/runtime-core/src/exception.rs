//! The reasons for resolving a run as exception.

use serde::{Deserialize, Serialize};

/// A reason for `reportException`.
///
/// The variants are the reasons that the queue accepts. A future queue may accept more, so a `match` needs a wildcard.
/// Reasons *read* from the queue are of type [`ResolvedReason`](crate::queue::ResolvedReason), which also holds unknown
/// ones.
///
/// Source: the queue's schema `task-exception-request` of Taskcluster v106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExceptionReason {
    /// The worker shut down. The queue creates a new run while retries are left.
    WorkerShutdown,
    /// The task is invalid: its author must change it. Not retried.
    MalformedPayload,
    /// A resource outside of worker and task, such as a server, was unavailable. Not retried.
    ResourceUnavailable,
    /// The worker failed. Not retried.
    InternalError,
    /// The task declared this failure intermittent. The queue creates a new run while retries are left.
    IntermittentTask,
}

impl ExceptionReason {
    /// Returns the reason as spelled by the queue.
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
