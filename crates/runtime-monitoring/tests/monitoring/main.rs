//! Logs, metrics and reports of monitors.

mod credential_redaction;
mod formats;
mod incidents;
mod install;
mod log_queue;
mod logs;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod panics;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(all(unix, feature = "sentry", feature = "otlp", feature = "status"))]
mod secrets;
#[cfg(feature = "sentry")]
mod sentry;
#[cfg(feature = "push")]
mod service;
#[cfg(feature = "status")]
mod status;
mod support;
#[cfg(feature = "system")]
mod system;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(all(feature = "sentry", feature = "taskcluster"))]
mod taskcluster;
#[cfg(feature = "otlp")]
mod traces;
mod worker_metrics_log;
