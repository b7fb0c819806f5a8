//! Notifications to systemd.

use std::env;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime_monitoring::Systemd;

/// If systemd has started the worker, notifies systemd that the worker is ready, and then at intervals that it is
/// alive.
pub(crate) fn notify() -> Result<Option<Systemd>> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(None);
    };
    let watchdog = env::var("WATCHDOG_USEC").ok();
    let watchdog = watchdog.and_then(|micros| micros.parse().ok());
    // A message needs a runtime that makes progress, so that a worker that hangs sends none.
    let systemd = Systemd::start(&socket, watchdog.map(Duration::from_micros), || true);
    systemd.context("cannot notify systemd").map(Some)
}
