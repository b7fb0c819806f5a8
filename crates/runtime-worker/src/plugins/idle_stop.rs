//! Stops a worker that has nothing to do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Environment, TaskError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Plugin, TaskPlugin, TaskRun};

/// Stops the worker gracefully when no task has run for some time, so that nobody pays for its machine.
pub struct IdleStop {
    running: watch::Sender<usize>,
    timer: JoinHandle<()>,
}

impl IdleStop {
    /// Stops the worker of `environment` after `limit` without a task, counted from now or from the end
    /// of the last task. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(environment: &Environment, limit: Duration) -> Self {
        let (running, seen) = watch::channel(0);
        let (worker, monitor) = (Arc::clone(&environment.stop), environment.monitor.clone());
        let timer = tokio::spawn(async move {
            if idle(seen, limit).await {
                monitor.info(format_args!(
                    "no task for {} s; the worker stops",
                    limit.as_secs()
                ));
                worker.stop_gracefully();
            }
        });
        Self { running, timer }
    }
}

/// Waits until nothing has run for `limit`; `false` if nobody counts any more.
async fn idle(mut running: watch::Receiver<usize>, limit: Duration) -> bool {
    loop {
        if running.wait_for(|running| *running == 0).await.is_err() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(limit) => return true,
            changed = running.changed() => if changed.is_err() {
                return false;
            },
        }
    }
}

#[async_trait]
impl Plugin for IdleStop {
    fn name(&self) -> &'static str {
        "idle-stop"
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        self.running.send_modify(|running| *running += 1);
        Ok(Some(Box::new(Busy(self.running.clone()))))
    }
}

/// Counts a task until it is gone, in whatever way.
struct Busy(watch::Sender<usize>);

impl TaskPlugin for Busy {}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Drop for IdleStop {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl fmt::Debug for IdleStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleStop").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_task_starts_the_count_anew_and_holds_it_while_it_runs() {
        let (running, seen) = watch::channel(0);
        let began = Instant::now();
        let waiting = tokio::spawn(idle(seen, LIMIT));
        sleep(LIMIT / 2).await;
        running.send_modify(|running| *running += 1);
        sleep(2 * LIMIT).await;
        assert!(!waiting.is_finished());
        running.send_modify(|running| *running -= 1);
        assert!(waiting.await.expect("it does not panic"));
        assert_eq!(began.elapsed(), LIMIT / 2 + 2 * LIMIT + LIMIT);
    }
}
