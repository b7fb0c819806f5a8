//! The stop flag of a task, and the reasons to stop it.

use tokio::sync::watch;

use crate::exception::ExceptionReason;

/// The reason for stopping a task. The first reason of a task is final.
///
/// | reason | [`is_cancelled`] | [`is_aborted`] | resolution of the run |
/// | --- | --- | --- | --- |
/// | [`Cancelled`](Self::Cancelled) | yes | no | by the queue, before the stop |
/// | [`DeadlineExceeded`](Self::DeadlineExceeded) | no | no | by the queue |
/// | [`ClaimLost`](Self::ClaimLost) | no | no | by the queue or by another worker |
/// | [`WorkerShutdown`](Self::WorkerShutdown) | no | yes | by this worker, as `worker-shutdown` |
///
/// [`is_cancelled`]: crate::TaskContext::is_cancelled
/// [`is_aborted`]: crate::TaskContext::is_aborted
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The task was cancelled. The queue has already resolved the run.
    Cancelled,
    /// The deadline passed. The queue resolves the run.
    DeadlineExceeded,
    /// The worker no longer holds the claim, and another one may run the task.
    ClaimLost,
    /// The worker is shutting down.
    WorkerShutdown,
}

impl StopReason {
    /// Returns the reason to report to the queue; `None` if this worker must not resolve the run.
    #[must_use]
    pub fn to_report(self) -> Option<ExceptionReason> {
        match self {
            Self::WorkerShutdown => Some(ExceptionReason::WorkerShutdown),
            Self::Cancelled | Self::DeadlineExceeded | Self::ClaimLost => None,
        }
    }
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "the task was cancelled",
            Self::DeadlineExceeded => "the deadline of the task passed",
            Self::ClaimLost => "the claim was lost",
            Self::WorkerShutdown => "the worker is shutting down",
        })
    }
}

/// A flag that is set at most once, to a reason, and awaited by any number of tasks.
#[derive(Debug)]
pub(super) struct StopFlag(watch::Sender<Option<StopReason>>);

impl StopFlag {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Sets the flag. Returns whether this was the first call.
    pub(super) fn stop(&self, reason: StopReason) -> bool {
        self.0.send_if_modified(|current| {
            let is_first = current.is_none();
            current.get_or_insert(reason);
            is_first
        })
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    pub(super) async fn wait(&self) -> StopReason {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => *reason,
            // The sender lives in `self`, and `wait_for` returned a `Some`.
            _ => unreachable!("the stop flag outlives its waiters"),
        }
    }
}
