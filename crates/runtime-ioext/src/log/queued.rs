//! A flush that was asked for.

use std::sync::Arc;

use super::core::Core;

/// The duty to flush soon. Dropping it without [`run`](Self::run) hands the duty back.
#[derive(Debug)]
pub(super) struct QueuedFlush {
    core: Arc<Core>,
    begun: bool,
}

impl QueuedFlush {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            begun: false,
        }
    }

    /// Flushes on tokio's threads for blocking work, or here if there is no runtime.
    pub(super) fn start(self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || self.run())),
            Err(_) => self.run(),
        }
    }

    fn run(mut self) {
        self.begun = true;
        let mut state = self.core.lock();
        state.flush_queued = false;
        if !state.flushing && !state.has_failed() && !state.tail.is_empty() {
            drop(self.core.flush_pending(state));
        }
    }
}

impl Drop for QueuedFlush {
    /// A runtime that shuts down drops what it has not begun. Tasks that wait for room ask again.
    fn drop(&mut self) {
        if self.begun {
            return;
        }
        let mut state = self.core.lock();
        state.flush_queued = false;
        let writers = state.writers.take();
        drop(state);
        writers.wake();
    }
}
