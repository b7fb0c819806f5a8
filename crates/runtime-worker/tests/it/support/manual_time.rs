//! Time that a test advances.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use runtime_mocks::taskcluster::Taskcluster;

/// Advance of the clocks in one step.
const STEP: Duration = Duration::from_secs(1);

/// Real time after each step, in which sockets can make progress.
const SOCKET_DELAY: Duration = Duration::from_millis(5);

/// Real time after which a test fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Pauses tokio's time until this is dropped. A test advances it together with the clock of the queue.
///
/// Paused time alone jumps to the next timer while a task waits for a socket, so that every request times out. It does
/// not jump while a blocking task runs, so this holds one.
pub(crate) struct ManualTime<'a> {
    taskcluster: &'a Taskcluster,
    _blocking_task: mpsc::Sender<()>,
}

impl<'a> ManualTime<'a> {
    pub(crate) fn begin(taskcluster: &'a Taskcluster) -> Self {
        tokio::time::pause();
        let (sender, receiver) = mpsc::channel::<()>();
        // Returns an error when the sender is dropped.
        tokio::task::spawn_blocking(move || receiver.recv());
        Self {
            taskcluster,
            _blocking_task: sender,
        }
    }

    /// Advances time.
    pub(crate) async fn advance(&self, duration: Duration) {
        for _ in 0..duration.as_secs() {
            self.step().await;
        }
    }

    /// Advances time until the condition holds.
    pub(crate) async fn advance_until(&self, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < TEST_TIMEOUT, "no timeout");
            self.step().await;
        }
    }

    async fn step(&self) {
        tokio::time::advance(STEP).await;
        self.taskcluster.advance(STEP);
        let delay = tokio::task::spawn_blocking(|| std::thread::park_timeout(SOCKET_DELAY));
        delay.await.expect("no panic");
    }
}

impl Drop for ManualTime<'_> {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}
