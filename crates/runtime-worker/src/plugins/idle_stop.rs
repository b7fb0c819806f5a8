//! Stops an idle worker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use runtime_core::{
    Environment, ShutdownListener, ShutdownManager, ShutdownNotice, ShutdownSource, TaskError,
};
use tokio::sync::watch;

use crate::plugin::{Plugin, TaskPlugin};
use crate::task_run::TaskRun;

const NAME: &str = "idle-stop";

/// Stops the worker gracefully when it has been idle for some time, to save the cost of its machine.
#[derive(Debug)]
pub struct IdleStop {
    running: watch::Sender<usize>,
    _listener: Option<ShutdownListener>,
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
        let (mut plugin, source) = Self::with_source(limit);
        let stop = Arc::clone(&environment.stop);
        let manager = ShutdownManager::new(stop, environment.monitor.clone());
        plugin._listener = Some(manager.source(source).start());
        plugin
    }

    /// Creates the plugin, and a shutdown source that reports when the worker was idle for `limit`.
    #[must_use]
    pub fn with_source(limit: Duration) -> (Self, IdleShutdownSource) {
        let (running, seen) = watch::channel(0);
        let plugin = Self {
            running,
            _listener: None,
        };
        let source = IdleShutdownSource {
            running: seen,
            limit,
            confirm: None,
            has_notified: false,
        };
        (plugin, source)
    }
}

/// Reports that a worker was idle for some time. [`IdleStop::with_source`] creates it.
pub struct IdleShutdownSource {
    running: watch::Receiver<usize>,
    limit: Duration,
    confirm: Option<Box<Confirm>>,
    has_notified: bool,
}

type Confirm = dyn Fn() -> BoxFuture<'static, bool> + Send + Sync;

impl IdleShutdownSource {
    /// Sets a function that returns whether an idle worker stops. It can call `shouldWorkerTerminate` of
    /// worker-manager, which knows the minimum capacity of the pool. After `false`, the idle time starts again.
    #[must_use]
    pub fn confirm<F: Future<Output = bool> + Send + 'static>(
        mut self,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        self.confirm = Some(Box::new(move || Box::pin(ask())));
        self
    }

    /// Waits until no task has run for the limit, and the function has confirmed the stop. Returns `false` if the
    /// plugin was dropped before.
    async fn wait_until_idle(&mut self) -> bool {
        loop {
            if self
                .running
                .wait_for(|running| *running == 0)
                .await
                .is_err()
            {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(self.limit) => {
                    let Some(confirm) = &self.confirm else {
                        return true;
                    };
                    // A task that starts meanwhile does not stop the question: a graceful stop lets it finish.
                    if confirm().await {
                        return true;
                    }
                }
                changed = self.running.changed() => if changed.is_err() {
                    return false;
                },
            }
        }
    }
}

#[async_trait]
impl ShutdownSource for IdleShutdownSource {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        if self.has_notified || !self.wait_until_idle().await {
            return None;
        }
        self.has_notified = true;
        let reason = format!("no task for {} s", self.limit.as_secs());
        Some(ShutdownNotice::graceful(reason))
    }
}

impl fmt::Debug for IdleShutdownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleShutdownSource")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use tokio::time::{Instant, sleep};

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn running_task_resets_the_timer() {
        let (plugin, mut source) = IdleStop::with_source(LIMIT);
        let start = Instant::now();
        let waiting = tokio::spawn(async move { source.next().await });
        sleep(LIMIT / 2).await;
        plugin.running.send_modify(|running| *running += 1);
        sleep(2 * LIMIT).await;
        assert!(!waiting.is_finished());
        plugin.running.send_modify(|running| *running -= 1);
        assert!(waiting.await.expect("no panic").is_some());
        assert_eq!(start.elapsed(), LIMIT / 2 + 2 * LIMIT + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn unconfirmed_stop_is_asked_again() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let (plugin, source) = IdleStop::with_source(LIMIT);
        let mut source = source.confirm(move || {
            let earlier = count.fetch_add(1, Ordering::Relaxed);
            async move { earlier == 2 }
        });
        let start = Instant::now();
        assert!(source.next().await.is_some());
        assert_eq!(start.elapsed(), 3 * LIMIT);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        drop(plugin);
        assert!(source.next().await.is_none(), "one notice only");
    }
}
