//! The commands that run together with a command of a task, such as shells.

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Ends the commands that run together with a command of a task. They are also ended, but not waited for, when it is dropped.
pub(crate) struct Companions {
    end: DropGuard,
    running: TaskTracker,
}

/// The part of a command that runs together with another one. It is counted as running until this is dropped.
pub(crate) struct Companion {
    end: CancellationToken,
    _counted: TaskTrackerToken,
}

impl Companions {
    pub(crate) fn new() -> Self {
        Self {
            end: CancellationToken::new().drop_guard(),
            running: TaskTracker::new(),
        }
    }

    pub(crate) fn add(&self) -> Companion {
        Companion {
            end: self.end.token().clone(),
            _counted: self.running.token(),
        }
    }

    /// Ends all, and waits for their ends. No other one may be added.
    pub(crate) async fn end(&self) {
        self.end.token().cancel();
        self.running.close();
        self.running.wait().await;
    }
}

impl Companion {
    /// Waits until the command has to end.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    #[cfg_attr(
        not(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )),
        expect(dead_code, reason = "only a sandbox can start them")
    )]
    pub(crate) async fn must_end(&self) {
        self.end.cancelled().await;
    }
}
