//! Turns panics of engines and plugins into errors.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use runtime_core::TaskError;

/// Runs `work` and returns a panic as an error.
///
/// A panic that reached the worker's own task would leave the run claimed and unresolved until the claim expires.
pub(super) async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, TaskError> {
    // `AssertUnwindSafe` holds because state that a panic leaves half-changed belongs to the engine or plugin that
    // panicked, and after an error the worker only disposes of that.
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| TaskError::Other(panic_message(&*panic).into()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("without a message");
    format!("engine or plugin panicked: {text}")
}
