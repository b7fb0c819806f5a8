//! A sandbox whose engine may hang.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::TaskError;
use tokio::sync::{SetOnce, watch};
use tokio::time::{Instant, sleep_until};

use crate::engine::{ExecCommand, ExecError, ExecProcess, ResultSet, Sandbox};

/// Passes calls on to a sandbox, and stops waiting for a killed task whose engine hangs.
///
/// The worker and all plugins use the guarded sandbox, so it makes no difference who kills the task.
pub(super) struct GuardedSandbox {
    sandbox: Arc<dyn Sandbox>,
    hang_timeout: Duration,
    /// The time at which the engine must have ended the task; `None` before it is killed.
    kill_deadline: watch::Sender<Option<Instant>>,
    hung: SetOnce<()>,
}

impl GuardedSandbox {
    pub(super) fn new(sandbox: Arc<dyn Sandbox>, hang_timeout: Duration) -> Self {
        Self {
            sandbox,
            hang_timeout,
            kill_deadline: watch::Sender::new(None),
            hung: SetOnce::new(),
        }
    }

    /// Returns whether the engine did not end the task in time after it was killed.
    pub(super) fn has_hung(&self) -> bool {
        self.hung.initialized()
    }

    /// Waits until the engine has exceeded the time for a kill.
    async fn overdue(&self) {
        // A kill before this line is not missed: the loop reads the value first, and waits for
        // changes after that.
        let mut deadlines = self.kill_deadline.subscribe();
        let exceeded = async {
            loop {
                // A second kill may move the deadline, for example if an immediate stop follows the
                // end of the run time.
                let deadline = *deadlines.borrow_and_update();
                let deadline = async {
                    match deadline {
                        Some(deadline) => sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = deadline => return,
                    // The sender lives in `self`, so the channel stays open.
                    _ = deadlines.changed() => {}
                }
            }
        };
        tokio::select! {
            () = exceeded => {}
            _ = self.hung.wait() => {}
        }
        // Recorded for all callers: a later `wait` or `kill` must not wait for another timeout.
        let _ = self.hung.set(());
    }
}

#[async_trait]
impl Sandbox for GuardedSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        tokio::select! {
            biased;
            // A result at the moment of the deadline counts: the task has ended.
            result = self.sandbox.wait() => result,
            () = self.overdue() => Err(TaskError::other("the engine hangs: it was asked to kill the task, which has not ended")),
        }
    }

    async fn kill(&self, within: Duration) {
        let limit = within.saturating_add(self.hang_timeout);
        // Without a deadline if it is beyond the range of the clock.
        self.kill_deadline
            .send_replace(Instant::now().checked_add(limit));
        tokio::select! {
            biased;
            () = self.sandbox.kill(within) => {}
            () = self.overdue() => {}
        }
    }

    async fn exec(&self, command: ExecCommand) -> Result<ExecProcess, ExecError> {
        self.sandbox.exec(command).await
    }
}
