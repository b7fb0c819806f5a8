//! Stops the worker on signals.

use runtime_core::{LifeCycleTracker, ShutdownSource as _, Stoppable as _};
use runtime_worker::{ExitCause, ShutdownSignals};
use tokio::task::JoinHandle;

use runtime_dev_server::output;

/// The listener for signals, which ends on drop.
pub(crate) struct SignalListener(JoinHandle<()>);

/// Starts to listen: the first signal stops the worker gracefully, the second one immediately.
pub(crate) fn stop_on_signals(
    stop: LifeCycleTracker,
    cause: ExitCause,
) -> std::io::Result<SignalListener> {
    let mut signals = ShutdownSignals::new()?;
    Ok(SignalListener(tokio::spawn(async move {
        signals.next().await;
        cause.requested();
        output::error_line("stopping after the running tasks; send another signal to stop them");
        stop.stop_gracefully();
        signals.next().await;
        output::error_line("stopping now; running tasks are resolved as worker-shutdown");
        stop.stop_now();
    })))
}

impl Drop for SignalListener {
    fn drop(&mut self) {
        self.0.abort();
    }
}
