//! Monitors for workers: logs, counters and measures.
//!
//! [`LoggingMonitor`] is what the [`Monitor`] of a worker hands everything to. Log lines and
//! incidents become `tracing` events, counters and measures are kept in [`Metrics`], which give a
//! [`Snapshot`] when asked.
//!
//! # Who writes the log
//!
//! Libraries emit events, and the application decides what becomes of them:
//!
//! - [`LogBuilder::install`] writes lines of text or JSON to standard error. It is the only function here
//!   that changes the whole process.
//! - An application with a subscriber of its own adds [`LogLayer`] to it, or handles the events
//!   itself; see [`LoggingMonitor`] for their fields.
//! - [`pre_config`] gives a monitor for the time before the configuration is read.
//!
//! Nothing here waits for a terminal or a disk: lines are written by a thread of their own, and dropped
//! and counted if that cannot keep up.
//!
//! # Example
//!
//! ```
//! use runtime_monitoring::{Config, from_config};
//!
//! let config: Config = serde_json::from_str(r#"{"tags": {"workerId": "i-0123"}}"#)?;
//! let monitoring = from_config(&config);
//!
//! let fetch = monitoring.monitor.with_prefix("fetch");
//! fetch.info("fetched the input");
//! fetch.count("bytes", 4096);
//! assert_eq!(monitoring.metrics.snapshot().counter("fetch.bytes"), 4096);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Limitations
//!
//! Error reports go to the log only; there is no Sentry and no OTLP.

mod config;
mod events;
mod fields;
mod logging;
mod logs;
mod metrics;

use std::sync::Arc;

use runtime_core::Monitor;

pub use config::{Config, LogConfig, LogFormat, LogLevel};
pub use events::{WorkerEvent, WorkerEvents};
pub use logging::{LoggingMonitor, TARGET};
use logs::EarlyMonitor;
pub use logs::{InstallError, LineFormat, Log, LogBuilder, LogGuard, LogLayer};
#[cfg(feature = "prometheus")]
pub use metrics::OPENMETRICS;
pub use metrics::{Distribution, Metrics, MetricsBuilder, Sample, Snapshot};

/// What [`from_config`] makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Monitoring {
    /// What everything is told to.
    pub monitor: Monitor,
    /// What was counted and measured.
    pub metrics: Metrics,
}

/// Makes a monitor of a configuration.
///
/// Its log lines go to the subscriber of the process, which [`LogBuilder`] installs.
#[must_use]
pub fn from_config(config: &Config) -> Monitoring {
    let metrics = Metrics::builder().labels(&config.labels).build();
    let tags = config
        .tags
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .with_tags(tags);
    Monitoring {
        monitor: monitor.into_monitor(),
        metrics,
    }
}

/// A monitor for the time before the configuration is read: text on standard error, from `info` on.
///
/// It installs nothing. Its thread ends with the last of its clones.
#[must_use]
pub fn pre_config() -> Monitor {
    match EarlyMonitor::start(LogFormat::Auto.on_stderr()) {
        Ok(monitor) => Monitor::new(Arc::new(monitor)),
        // Without a thread, there is still the subscriber of the process, if any.
        Err(_) => LoggingMonitor::new().into_monitor(),
    }
}
