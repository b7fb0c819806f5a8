//! Monitors for workers: logs, counters and measures.
//!
//! [`LoggingMonitor`] is what the [`Monitor`] of a worker hands everything to. Log lines and
//! incidents become `tracing` events, counters and measures are kept in [`Metrics`], which give a
//! [`Snapshot`] when asked.
//!
//! | you want | you use |
//! | --- | --- |
//! | a monitor, its metrics and its redactor, as a configuration says | [`from_config`] |
//! | the log of the process | [`LogBuilder`], or a [`LogLayer`] in a subscriber of yours |
//! | metrics elsewhere | `Metrics::to_openmetrics` (feature `prometheus`), `push_to_otlp` (`otlp`) |
//! | gauges of the machine and of the process | `MachineGauges` (`system`) |
//! | somebody who hears of errors | `report_to_sentry` (`sentry`), `report_to_worker_manager` (`taskcluster`), or a [`IncidentQueue`] |
//! | a page, and probes | `status::StatusPage` (`status`) |
//! | systemd to know that the worker is alive | `Systemd` (`systemd`) |
//!
//! # Who writes the log
//!
//! Libraries emit events, and the application decides what becomes of them:
//!
//! - [`LogBuilder::install`] writes text or JSON to standard error, messages for worker-runner to standard output,
//!   or entries to the journal or syslog. It is the only function here that changes the whole process.
//! - An application with a subscriber of its own adds [`LogLayer`] to it, or handles the events
//!   itself; see [`LoggingMonitor`] for their fields.
//! - [`pre_config`] gives a monitor for the time before the configuration is read.
//!
//! Nothing here waits for a terminal, a disk or a network: lines are written by a thread of their own, errors are
//! reported by a task of their own, and what these cannot keep up with is dropped and counted.
//!
//! # Who hears of incidents
//!
//! [`Reporters`] are told of each [`Incident`], with the id that the log shows and without the secrets.
//! [`RecentIncidents`] keeps the last; a [`IncidentQueue`] delivers them to a service, such as Sentry.
//!
//! # Example
//!
//! ```
//! use runtime_monitoring::{MonitoringConfig, from_config};
//!
//! let config: MonitoringConfig = serde_json::from_str(r#"{"tags": {"workerId": "i-0123"}}"#)?;
//! let monitoring = from_config(&config);
//!
//! let fetch = monitoring.monitor.with_prefix("fetch");
//! fetch.info("fetched the input");
//! fetch.count("bytes", 4096);
//! assert_eq!(monitoring.metrics.snapshot().counter("fetch.bytes"), 4096);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Feature flags
#![cfg_attr(feature = "document-features", doc = document_features::document_features!())]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod events;
mod fields;
mod hiding;
mod incidents;
mod logging;
mod logs;
mod metrics;
#[cfg(all(test, runtime_loom))]
mod models;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(any(feature = "otlp", feature = "sentry"))]
mod push;
#[cfg(feature = "sentry")]
mod sentry;
#[cfg(feature = "status")]
pub mod status;
mod sys;
#[cfg(feature = "system")]
mod system;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(feature = "taskcluster")]
mod taskcluster;

use std::sync::Arc;

use runtime_core::Monitor;
use runtime_ioext::log::Redactor;

pub use config::{LogConfig, LogFormat, LogLevel, MonitoringConfig};
pub use events::{WorkerEvent, WorkerMetricsLog};
pub use hiding::{CredentialRedaction, redact_credentials};
pub use incidents::{
    Cause, Delivery, Forwarded, Incident, IncidentQueue, IncidentTransport, RecentIncidents,
    Reporter, Reporters,
};
pub use logging::{LoggingMonitor, TARGET};
use logs::EarlyMonitor;
pub use logs::workerproto::error_report;
pub use logs::{InstallError, LineFormat, Log, LogBuilder, LogGuard, LogLayer, LogLevels};
#[cfg(feature = "prometheus")]
pub use metrics::OPENMETRICS;
pub use metrics::{
    CATALOG, Distribution, Kind, MetricDescriptor, MetricMetadata, Metrics, MetricsBuilder, Sample,
    Snapshot, Unit,
};
#[cfg(feature = "otlp")]
pub use otlp::{OtlpConfig, OtlpPush, push_to_otlp};
#[cfg(any(feature = "otlp", feature = "sentry"))]
pub use push::PushError;
#[cfg(feature = "sentry")]
pub use sentry::{Dsn, DsnSource, SentryConfig, report_to_sentry};
#[cfg(feature = "system")]
pub use system::MachineGauges;
#[cfg(all(unix, feature = "systemd"))]
pub use systemd::Systemd;
#[cfg(feature = "taskcluster")]
pub use taskcluster::{WorkerManagerConfig, report_to_worker_manager};

/// What [`from_config`] makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Monitoring {
    /// What everything is told to.
    pub monitor: Monitor,
    /// What was counted and measured.
    pub metrics: Metrics,
    /// The secrets that are taken out of everything from the moment on at which they are added.
    pub redactor: Redactor,
    /// Who hears of incidents; add to it.
    pub reporters: Reporters,
    /// The last incidents.
    pub incidents: RecentIncidents,
}

/// Makes a monitor of a configuration.
///
/// Its log lines go to the subscriber of the process, which [`LogBuilder`] installs; give that the `redactor` and
/// the `metrics` of the result. Pushes to Sentry and OTLP start with functions of their own, since they need a
/// tokio runtime.
#[must_use]
pub fn from_config(config: &MonitoringConfig) -> Monitoring {
    let (redactor, reporters) = (Redactor::new(), Reporters::default());
    let metrics = Metrics::builder()
        .labels(&config.labels)
        .redactor(redactor.clone())
        .build();
    let tags = config
        .tags
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let incidents = RecentIncidents::new();
    reporters.add(Arc::new(incidents.clone()));
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .with_redactor(redactor.clone())
        .with_reporters(reporters.clone())
        .with_tags(tags);
    Monitoring {
        monitor: monitor.into_monitor(),
        metrics,
        redactor,
        reporters,
        incidents,
    }
}

/// A monitor for the time before the configuration is read: text on standard error, from `info` on.
///
/// It installs nothing. Its thread ends with the last of its clones.
#[must_use]
pub fn pre_config() -> Monitor {
    match EarlyMonitor::start(logs::text_on_stderr()) {
        Ok(monitor) => Monitor::new(Arc::new(monitor)),
        // Without a thread, there is still the subscriber of the process, if any.
        Err(_) => LoggingMonitor::new().into_monitor(),
    }
}
