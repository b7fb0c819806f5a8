//! Why a task is stopped.

use tokio::sync::watch;

use crate::ExceptionReason;

/// Why a task is stopped before it is done. The first reason given wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody cancelled the task: the queue has resolved it.
    Cancelled,
    /// The deadline passed: the queue resolves it, or has.
    DeadlineExceeded,
    /// The claim ended, so that another worker may hold the task by now.
    ClaimLost,
    /// The worker must stop.
    WorkerShutdown,
}

impl StopReason {
    /// The reason to report, or `None` if the run is no longer this worker's to resolve.
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

/// A stop that is asked for once and that many wait for.
#[derive(Debug)]
pub(super) struct StopSignal(watch::Sender<Option<StopReason>>);

impl StopSignal {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Reports whether this call was the first.
    pub(super) fn stop(&self, reason: StopReason) -> bool {
        self.0.send_if_modified(|slot| {
            let first = slot.is_none();
            slot.get_or_insert(reason);
            first
        })
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    pub(super) async fn wait(&self) -> StopReason {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => *reason,
            // The sender lives in `self`, and the condition above was `is_some`.
            _ => unreachable!("the signal outlives whoever waits on it"),
        }
    }
}
