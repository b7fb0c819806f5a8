//! Keeps a panic of an engine or a plugin from being the worker's.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use runtime_core::TaskError;

/// Runs `work`, and makes an error of a panic.
///
/// What a panic left half-changed belongs to the engine or plugin that panicked, and is used no more.
pub(super) async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, TaskError> {
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
