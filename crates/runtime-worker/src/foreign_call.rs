//! Calls into engines, plugins and admissions, which may panic or hang.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use runtime_core::TaskError;
use runtime_core::util::panic_message;
use tokio::time::timeout;

/// Runs `work` and returns a panic as an error.
///
/// A panic that reached the worker's own task would leave the run claimed and unresolved until the claim expires.
pub(crate) async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, TaskError> {
    // `AssertUnwindSafe` holds because state that a panic leaves half-changed belongs to the engine or plugin that
    // panicked, and after an error the worker only disposes of that.
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| {
            let message = panic_message(&*panic);
            TaskError::Other(format!("engine or plugin panicked: {message}").into())
        })
}

/// Awaits a call of the method `stage` of the engine or plugin `name`, for at most `limit`.
///
/// A panic, and a call that exceeds the limit and is dropped, are errors that name the call.
pub(crate) async fn foreign_call<T>(
    name: &str,
    stage: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
    match timeout(limit, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let message = panic_message(&*panic);
            let message = format!("`{name}` panicked in `{stage}`: {message}");
            Err(TaskError::Other(message.into()))
        }
        Err(_) => {
            let message = format!("`{name}` did not return from `{stage}` within {limit:?}");
            Err(TaskError::Other(message.into()))
        }
    }
}
