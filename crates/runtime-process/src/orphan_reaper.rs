//! Reaps orphans of commands while they run.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::orphans::{OrphanScanner, adopt_orphans};

/// The minimum time between two rounds. A process may leave thousands of orphans per second.
const INTERVAL: Duration = Duration::from_millis(50);

/// Turns this process into the parent of orphans among its descendants, and reaps those of commands until it is dropped.
///
/// Without it, a long-running command that leaves many orphans would exhaust the process ids.
#[derive(Debug)]
pub(crate) struct OrphanReaper(JoinHandle<()>);

impl OrphanReaper {
    pub(crate) fn start(scanner: &Arc<OrphanScanner>) -> io::Result<Self> {
        // Before the first orphan: a signal that arrives earlier than the listener would be lost.
        let mut child_ended = signal(SignalKind::child())?;
        adopt_orphans()?;
        let scanner = Arc::clone(scanner);
        Ok(Self(tokio::spawn(async move {
            while child_ended.recv().await.is_some() {
                let scanner = Arc::clone(&scanner);
                // The only possible error is a panic of the closure.
                let _ = tokio::task::spawn_blocking(move || scanner.reap()).await;
                tokio::time::sleep(INTERVAL).await;
            }
        })))
    }
}

impl Drop for OrphanReaper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
