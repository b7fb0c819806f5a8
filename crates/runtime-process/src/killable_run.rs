//! Work that continues without its callers, and can be killed.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::instant_after;
use runtime_core::{BoxError, TaskError, error_chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The time at which the work must have ended; `None` while it may run.
pub(crate) type KillDeadline = watch::Receiver<Option<Instant>>;

/// Work in a tokio task, so that it continues if a caller of [`wait`](Self::wait) is cancelled. It is aborted on drop.
pub(crate) struct KillableRun<T> {
    deadline: watch::Sender<Option<Instant>>,
    /// `None` while it runs. An error is stored as text, because each caller of `wait` gets a copy.
    result: watch::Receiver<Option<Result<T, Arc<str>>>>,
    task: JoinHandle<()>,
}

impl<T: Clone + Send + Sync + 'static> KillableRun<T> {
    /// Starts work that obeys the deadline which it receives.
    pub(crate) fn spawn<F>(work: impl FnOnce(KillDeadline) -> F) -> Self
    where
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let (deadline, deadline_receiver) = watch::channel(None);
        let (sender, result) = watch::channel(None);
        let work = work(deadline_receiver);
        let task = tokio::spawn(async move {
            let ended = work.await;
            sender.send_replace(Some(ended.map_err(|error| Arc::from(error_chain(&*error)))));
        });
        Self {
            deadline,
            result,
            task,
        }
    }

    /// Waits for the result.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn wait(&self) -> Result<T, TaskError> {
        let mut result = self.result.clone();
        match result.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(result))) => Ok(result.clone()),
            Ok(Some(Err(message))) => Err(TaskError::other(&**message)),
            _ => Err(TaskError::other("the task was dropped while it ran")),
        }
    }

    /// Sets the deadline, and waits for the end.
    ///
    /// # Cancel safety
    ///
    /// The deadline is set even if the future is dropped.
    pub(crate) async fn kill(&self, within: Duration) {
        let requested = instant_after(Instant::now(), within);
        // A later request may shorten the deadline and never extends it.
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(requested, |earlier| earlier.min(requested)));
        });
        let _ = self.result.clone().wait_for(Option::is_some).await;
    }
}

impl<T> Drop for KillableRun<T> {
    fn drop(&mut self) {
        // Drops the work, which kills all processes.
        self.task.abort();
    }
}

/// Returns the time that is left until the deadline, if there is one.
pub(crate) fn remaining(deadline: &mut KillDeadline) -> Duration {
    let deadline = *deadline.borrow_and_update();
    deadline.map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}
