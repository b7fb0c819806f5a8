//! A requested flush of pending bytes that has not run yet.

use std::sync::Arc;

/// The calls of a background flush on its log. This is a trait because the module `shared` starts the
/// flushes, and a dependency on `shared` here would be circular.
pub(super) trait Flushable: Send + Sync + 'static {
    /// Flushes the pending bytes, unless another thread does.
    fn run_queued_flush(&self);

    /// Withdraws the request, so that writers no longer wait for this flush.
    fn cancel_queued_flush(&self);
}

/// A requested flush. Dropping it without [`run`](Self::run) cancels the request.
#[derive(Debug)]
pub(super) struct QueuedFlush<T: Flushable> {
    target: Arc<T>,
    started: bool,
}

impl<T: Flushable> QueuedFlush<T> {
    pub(super) fn new(target: Arc<T>) -> Self {
        Self {
            target,
            started: false,
        }
    }

    /// Flushes on one of tokio's blocking threads, or on this thread if there is no runtime.
    pub(super) fn start(self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || self.run())),
            Err(_) => self.run(),
        }
    }

    fn run(mut self) {
        self.started = true;
        self.target.run_queued_flush();
    }
}

impl<T: Flushable> Drop for QueuedFlush<T> {
    /// A runtime that shuts down drops queued blocking tasks. Without the cancellation, writers would wait
    /// forever for a flush that never runs.
    fn drop(&mut self) {
        if !self.started {
            self.target.cancel_queued_flush();
        }
    }
}
