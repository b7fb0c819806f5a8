//! How a run ends.

use std::fmt;

use runtime_core::{ExceptionReason, StopReason, TaskError};

use crate::Verdict;

/// How a run ends, from this worker's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The worker reports `completed`.
    Completed,
    /// The worker reports `failed`.
    Failed,
    /// The worker reports an exception.
    Exception(ExceptionReason),
    /// The run is no longer the worker's: it reports nothing.
    Abandoned(StopReason),
}

impl From<Verdict> for Resolution {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::Completed,
            Verdict::Failure => Self::Failed,
            Verdict::Intermittent => Self::Exception(ExceptionReason::IntermittentTask),
        }
    }
}

impl From<StopReason> for Resolution {
    fn from(reason: StopReason) -> Self {
        reason
            .to_report()
            .map_or(Self::Abandoned(reason), Self::Exception)
    }
}

impl From<&TaskError> for Resolution {
    fn from(error: &TaskError) -> Self {
        Self::Exception(error.exception_reason())
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed => f.write_str("failed"),
            Self::Exception(reason) => write!(f, "exception/{reason}"),
            Self::Abandoned(StopReason::Cancelled) => f.write_str("exception/canceled"),
            Self::Abandoned(StopReason::DeadlineExceeded) => {
                f.write_str("exception/deadline-exceeded")
            }
            Self::Abandoned(reason) => write!(f, "abandoned, because {reason}"),
        }
    }
}
