//! Stops an idle worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{Environment, TaskError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;

const NAME: &str = "idle-stop";

/// Stops the worker gracefully when it has been idle for some time, to save the cost of its machine.
#[derive(Debug)]
pub struct IdleStop {
    running: watch::Sender<usize>,
    _timer: JoinSet<()>,
}

impl IdleStop {
    /// Creates the plugin and starts its timer, which stops the worker of `environment` after `limit` without a running
    /// task.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(environment: &Environment, limit: Duration) -> Self {
        let (running, seen) = watch::channel(0);
        let worker = Arc::clone(&environment.stop);
        let monitor = environment.monitor.with_prefix(NAME);
        let mut timer = JoinSet::new();
        timer.spawn(async move {
            if wait_until_idle(seen, limit).await {
                monitor.info(format_args!(
                    "stopping the worker after {} s without a task",
                    limit.as_secs()
                ));
                worker.stop_gracefully();
            }
        });
        Self {
            running,
            _timer: timer,
        }
    }
}

/// Waits until no task has run for `limit`. Returns `false` if the plugin was dropped before.
async fn wait_until_idle(mut running: watch::Receiver<usize>, limit: Duration) -> bool {
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
        NAME
    }

    async fn new_task_plugin(&self, _: &TaskRun) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        self.running.send_modify(|running| *running += 1);
        Ok(Some(Box::new(BusyGuard(self.running.clone()))))
    }
}

/// Counts a task as running until it is dropped, so that a panic or a skipped stage cannot leave the count too high.
struct BusyGuard(watch::Sender<usize>);

impl TaskPlugin for BusyGuard {}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn running_task_resets_the_timer() {
        let (running, seen) = watch::channel(0);
        let start = Instant::now();
        let waiting = tokio::spawn(wait_until_idle(seen, LIMIT));
        sleep(LIMIT / 2).await;
        running.send_modify(|running| *running += 1);
        sleep(2 * LIMIT).await;
        assert!(!waiting.is_finished());
        running.send_modify(|running| *running -= 1);
        assert!(waiting.await.expect("no panic"));
        assert_eq!(start.elapsed(), LIMIT / 2 + 2 * LIMIT + LIMIT);
    }
}
