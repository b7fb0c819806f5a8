//! Logs, metrics, error reports and a status page for workers.
//!
//! [`from_config`] creates the [`Monitor`](runtime_core::Monitor) of a worker. Its log lines and incidents become `tracing`
//! events; its counters, distributions and gauges are kept in [`Metrics`].
//!
//! | task | use |
//! | --- | --- |
//! | create a monitor with metrics and a redactor from a configuration | [`from_config`] |
//! | log before the configuration is read | [`pre_config`] |
//! | write the log of the process | [`LogBuilder`], or [`LogLayer`] in an existing subscriber |
//! | export metrics and traces | `Metrics::to_openmetrics` (feature `prometheus`), `push_to_otlp` (`otlp`) |
//! | set gauges of the machine and the process | `MachineGauges` (`system`) |
//! | report errors | `report_to_sentry` (`sentry`), `report_to_worker_manager` (`taskcluster`), or an [`IncidentQueue`] |
//! | start all exports of a configuration | `TelemetryExporters` (`otlp`, `sentry` and `taskcluster`) |
//! | serve a status page and health checks | `status::StatusPage` (`status`) |
//! | notify systemd of readiness and liveness | `Systemd` (`systemd`) |
//!
//! # Logs
//!
//! Libraries emit events. The application decides where they are written:
//!
//! - [`LogBuilder::install`] writes text or JSON to standard error, messages for worker-runner to standard output, or entries
//!   to journald or syslog. It is the only function of this crate with an effect on the whole process.
//! - An application with its own subscriber adds [`LogLayer`] to it, or handles the events itself. [`LoggingMonitor`]
//!   documents their fields.
//!
//! No call waits for a terminal, a disk or the network. A thread writes the lines, a task delivers error reports. If one of
//! them cannot keep up, the excess is dropped and counted.
//!
//! # Incidents
//!
//! [`Reporters`] receive each [`Incident`] with the id shown in the log and with secrets redacted. [`RecentIncidents`]
//! keeps the latest ones; an [`IncidentQueue`] delivers them to a service such as Sentry.
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
mod credential_redaction;
#[cfg(all(feature = "otlp", feature = "sentry", feature = "taskcluster"))]
mod exports;
#[cfg(any(feature = "otlp", feature = "sentry", feature = "taskcluster"))]
mod failure_log;
mod fields;
mod incidents;
mod logging_monitor;
mod logs;
mod metrics;
#[cfg(all(test, runtime_loom))]
mod models;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "status")]
pub mod plot;
#[cfg(any(feature = "otlp", feature = "sentry"))]
mod push;
#[cfg(feature = "sentry")]
mod sentry;
mod setup;
#[cfg(feature = "status")]
pub mod status;
mod sys;
#[cfg(feature = "system")]
mod system;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(feature = "taskcluster")]
mod taskcluster;
#[cfg(feature = "otlp")]
mod trace_queue;
mod worker_metrics_log;

// The way through the crate for most users: configuration, log, metrics, reports.
pub use config::{LogConfig, LogFormat, LogLevel, MonitoringConfig};
#[cfg(all(feature = "otlp", feature = "sentry", feature = "taskcluster"))]
pub use exports::{ExportError, TelemetryExporters};
pub use logs::{InstallError, LineFormat, LogBuilder, LogGuard, LogHandle, LogLayer, LogLevels};
#[cfg(feature = "prometheus")]
pub use metrics::OPENMETRICS_CONTENT_TYPE;
pub use metrics::{CounterValue, Distribution, Metrics, MetricsBuilder, Sample, Snapshot, Unit};
#[cfg(feature = "otlp")]
pub use otlp::{OtlpConfig, OtlpPush, push_to_otlp};
#[cfg(any(feature = "otlp", feature = "sentry"))]
pub use push::StartPushError;
#[cfg(feature = "sentry")]
pub use sentry::{Dsn, DsnSource, SentryConfig, report_to_sentry};
pub use setup::{MonitoringParts, from_config, pre_config};
#[cfg(feature = "system")]
pub use system::MachineGauges;
#[cfg(all(unix, feature = "systemd"))]
pub use systemd::Systemd;
#[cfg(feature = "taskcluster")]
pub use taskcluster::{WorkerManagerConfig, report_to_worker_manager};
#[cfg(feature = "otlp")]
pub use trace_queue::TraceQueue;

// Building blocks, and counterparts of the Go package's types.
pub use credential_redaction::{CredentialRedaction, redact_credentials};
pub use incidents::{
    Cause, Delivery, DeliveryCounts, Incident, IncidentQueue, IncidentTransport, RecentIncidents,
    Reporter, Reporters,
};
pub use logging_monitor::{LoggingMonitor, TARGET};
pub use logs::error_report;
pub use metrics::{CATALOG, MetricDescriptor, MetricKind, MetricMetadata};
pub use worker_metrics_log::{WorkerEvent, WorkerMetricsLog};
