//! Reads from the queue's errors and task status whether this worker still holds a run.

use std::time::Duration;

use runtime_core::queue::{Queue, ResolvedReason, RunStatus, TaskState};
use runtime_core::{ApiError, Run, StopReason};

/// Timeout of a status request. Its answer only refines the reason, so it is not worth a longer delay.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns whether an error means that the worker no longer holds the run.
///
/// 401 is not included: it may be transient while the credentials of the claim are replaced.
pub(super) fn is_claim_lost(error: &ApiError) -> bool {
    // 409: the run is resolved, its claim has expired, or the deadline of the task has passed. 404:
    // the queue no longer knows the task. 403: the scopes do not cover the run; no retry can change
    // that.
    matches!(error.status(), Some(403 | 404 | 409))
}

/// Fetches the status of a run. Returns `None` if the queue is unreachable.
pub(super) async fn fetch_status(queue: &dyn Queue, run: &Run) -> Option<RunStatus> {
    let status = tokio::time::timeout(STATUS_TIMEOUT, queue.status(&run.task_id)).await;
    let mut runs = status.ok()?.ok()?.runs.into_iter();
    runs.find(|status| status.run_id == run.run_id)
}

/// Returns the reason why a run is no longer running, or `None` if it is.
pub(super) fn stop_reason(run: &RunStatus) -> Option<StopReason> {
    if run.state == TaskState::Running {
        return None;
    }
    Some(match run.reason_resolved {
        Some(ResolvedReason::Canceled) => StopReason::Cancelled,
        Some(ResolvedReason::DeadlineExceeded) => StopReason::DeadlineExceeded,
        _ => StopReason::ClaimLost,
    })
}
