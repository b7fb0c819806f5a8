//! Stops the worker by signals.

use runtime::{LifeCycleTracker, Stoppable as _};

/// The first signal lets running tasks finish; the second stops them.
pub(crate) async fn stop_on_signals(stop: LifeCycleTracker) -> std::io::Result<()> {
    let mut signals = Signals::new()?;
    signals.next().await;
    eprintln!("stopping when the running tasks are done; signal again to stop them now");
    stop.stop_gracefully();
    signals.next().await;
    eprintln!("stopping now; the running tasks resolve worker-shutdown");
    stop.stop_now();
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
