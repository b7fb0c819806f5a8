//! Collecting without being asked.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Inner;

/// The task that collects in the background. It ends when this is dropped.
#[derive(Debug)]
pub struct BackgroundCollector {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl BackgroundCollector {
    pub(super) fn start(inner: Arc<Inner>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop: Some(stop),
            task: tokio::spawn(keep_collecting(inner, stopped)),
        }
    }

    /// Lets a collection that runs come to its end, then ends the task.
    ///
    /// # Cancel safety
    ///
    /// The task ends at once if the future is dropped.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The task can only have ended by a panic, which it has told about.
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

async fn keep_collecting(inner: Arc<Inner>, mut stopped: oneshot::Receiver<()>) {
    while stopped.try_recv().is_err() {
        inner.collect().await;
        let wake = wake_at(&inner);
        tokio::select! {
            () = sleep_until(wake) => {}
            () = inner.shared.trigger.notified() => {}
            _ = &mut stopped => return,
        }
    }
}

/// When to look again: after the interval, or when the first failure is to be tried again.
fn wake_at(inner: &Inner) -> Instant {
    let interval = Instant::now() + inner.shared.config.interval;
    let retry = inner.shared.registry().next_retry();
    retry.map_or(interval, |retry| retry.min(interval))
}
