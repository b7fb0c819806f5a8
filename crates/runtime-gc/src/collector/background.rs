//! The background task that collects.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::core::Collector;

/// The handle of the background task, which ends when this is dropped.
#[derive(Debug)]
pub struct BackgroundCollector {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl BackgroundCollector {
    pub(super) fn start(collector: Arc<Collector>) -> Self {
        // A channel and not `abort`: aborting a collection would lose its report.
        let (stop, stopped) = oneshot::channel();
        Self {
            stop: Some(stop),
            task: tokio::spawn(run(collector, stopped)),
        }
    }

    /// Stops the task after the collection in progress.
    ///
    /// # Cancel safety
    ///
    /// The task is aborted if the future is dropped.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Both fail only if the task panicked, which the panic hook already reported.
            let _ = stop.send(());
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for BackgroundCollector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(collector: Arc<Collector>, mut stopped: oneshot::Receiver<()>) {
    while stopped.try_recv().is_err() {
        collector.collect().await;
        // Computed after the collection, so that a slow one is followed by a whole interval without
        // load on the disk.
        let next = next_collection(&collector);
        tokio::select! {
            () = sleep_until(next) => {}
            // `Notify` stores a request that arrives during a collection, so it is not lost.
            () = collector.shared.wake.notified() => {}
            _ = &mut stopped => return,
        }
    }
}

/// Returns the end of the interval, or the first retry of a failed disposal if that is earlier.
fn next_collection(collector: &Collector) -> Instant {
    let interval = Instant::now() + collector.shared.config.bounded_interval();
    let retry = collector.shared.registry().next_retry();
    retry.map_or(interval, |retry| retry.min(interval))
}
