//! Turns panics of engines and plugins into errors.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use runtime_core::TaskError;
use runtime_core::util::panic_message;

/// Runs `work` and returns a panic as an error.
///
/// A panic that reached the worker's own task would leave the run claimed and unresolved until the claim expires.
pub(super) async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, TaskError> {
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
