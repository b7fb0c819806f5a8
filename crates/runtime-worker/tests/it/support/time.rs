//! Time that passes only when a test says so.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use runtime_mocks::taskcluster::Taskcluster;

/// How far the clocks go at a time.
const STEP: Duration = Duration::from_secs(1);

/// How long sockets have after each step. They know no other time than the real one.
const MOMENT: Duration = Duration::from_millis(5);

/// A test that hangs tells less than one that fails.
const REAL_MINUTE: Duration = Duration::from_secs(60);

/// Stops tokio's time until this is dropped, but for what a test lets pass, by the clock of the queue as well.
///
/// Paused time alone would jump to the next timer as soon as all that is left to wait for is a socket, and every
/// request would time out. It does not jump while something blocks, so something does.
pub(crate) struct SlowMotion<'a> {
    taskcluster: &'a Taskcluster,
    _blocked: mpsc::Sender<()>,
}

impl<'a> SlowMotion<'a> {
    pub(crate) fn begin(taskcluster: &'a Taskcluster) -> Self {
        tokio::time::pause();
        let (sender, receiver) = mpsc::channel::<()>();
        // Ends with an error when the sender is dropped, as it is meant to.
        tokio::task::spawn_blocking(move || receiver.recv());
        Self {
            taskcluster,
            _blocked: sender,
        }
    }

    /// Lets so much time pass.
    pub(crate) async fn pass(&self, how_long: Duration) {
        for _ in 0..how_long.as_secs() {
            self.step().await;
        }
    }

    /// Lets time pass until it is so.
    pub(crate) async fn pass_until(&self, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < REAL_MINUTE, "it does not come to pass");
            self.step().await;
        }
    }

    async fn step(&self) {
        tokio::time::advance(STEP).await;
        self.taskcluster.advance(STEP);
        let moment = tokio::task::spawn_blocking(|| std::thread::park_timeout(MOMENT));
        moment.await.expect("it only waits");
    }
}

impl Drop for SlowMotion<'_> {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}
