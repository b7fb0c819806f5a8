//! The results of a task: [`Exit`], [`Verdict`] and [`Resolution`].

use std::fmt;

use runtime_core::{ExceptionReason, StopReason, TaskError};

/// The exit status of a task, as its engine reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// The task exited with this code; 0 is success.
    Code(i32),
    /// This signal ended the task.
    Signal(i32),
    /// The worker killed the task.
    Killed,
}

impl Exit {
    /// Returns whether the exit code is 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// Returns the exit code, if there is one.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) | Self::Killed => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Killed => f.write_str("a kill by the worker"),
        }
    }
}

/// The judgement of a task's result by engine and plugins, ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The task succeeded.
    Success,
    /// The task failed.
    Failure,
    /// The task failed, and its author expects that a retry may succeed.
    Intermittent,
}

/// The final state of a run, as this worker reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The worker reports `completed`.
    Completed,
    /// The worker reports `failed`.
    Failed,
    /// The worker reports an exception.
    Exception(ExceptionReason),
    /// The worker reports nothing: it no longer holds the run, or no time is left.
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

impl Resolution {
    /// Returns the value of the label `resolution` of metrics: the text of `Display`, without the reason of an abandoned
    /// run.
    pub(crate) fn label(&self) -> String {
        let text = self.to_string();
        let end = text.find(':').unwrap_or(text.len());
        text[..end].to_owned()
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed => f.write_str("failed"),
            Self::Exception(reason) => write!(f, "exception/{reason}"),
            // The queue resolves these two itself, so they are shown as the queue names them.
            Self::Abandoned(StopReason::Cancelled) => f.write_str("exception/canceled"),
            Self::Abandoned(StopReason::DeadlineExceeded) => {
                f.write_str("exception/deadline-exceeded")
            }
            Self::Abandoned(reason) => write!(f, "abandoned: {reason}"),
        }
    }
}
