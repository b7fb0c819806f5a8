//! Stops the worker by signals.

use runtime::worker::Signals;
use runtime::{LifeCycleTracker, ShutdownSource as _, Stoppable as _};
use tokio::task::JoinHandle;

use crate::out;

/// Dropping it ends the listening.
pub(crate) struct Listening(JoinHandle<()>);

/// Listens from now on: the first signal lets running tasks finish; the second stops them.
pub(crate) fn stop_on_signals(stop: LifeCycleTracker) -> std::io::Result<Listening> {
    let mut signals = Signals::new()?;
    Ok(Listening(tokio::spawn(async move {
        signals.next().await;
        out::note("stopping when the running tasks are done; signal again to stop them now");
        stop.stop_gracefully();
        signals.next().await;
        out::note("stopping now; the running tasks resolve worker-shutdown");
        stop.stop_now();
    })))
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}
