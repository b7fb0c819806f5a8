//! The configuration of monitoring.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Configuration of monitoring.
///
/// ```
/// let config: runtime_monitoring::MonitoringConfig = serde_json::from_str(
///     r#"{"log": {"level": "debug", "modules": {"hyper": "warn"}}, "tags": {"region": "eu"}}"#,
/// )?;
/// # assert_eq!(config.tags["region"], "eu");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MonitoringConfig {
    /// The worker's own log.
    pub log: LogConfig,

    /// Tags of all events and incidents, such as the worker id.
    pub tags: BTreeMap<String, String>,

    /// The names of tags that become labels of metrics. Each value creates a separate series, so choose tags with few
    /// values.
    pub labels: Vec<String>,

    /// Reports errors to Sentry.
    #[cfg(feature = "sentry")]
    pub sentry: Option<crate::sentry::SentryConfig>,

    /// Reports errors to worker-manager, which shows them publicly on the page of the worker pool.
    #[cfg(feature = "taskcluster")]
    pub worker_manager: Option<crate::taskcluster::WorkerManagerConfig>,

    /// Pushes metrics and traces to an OpenTelemetry collector.
    #[cfg(feature = "otlp")]
    pub otlp: Option<crate::otlp::OtlpConfig>,
}

/// Configuration of the worker's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// The minimum level.
    pub level: LogLevel,

    /// The levels of single modules, such as `hyper` or `worker`. The longest matching name applies.
    pub modules: BTreeMap<String, LogLevel>,

    /// The format and the destination.
    pub format: LogFormat,
}

/// The minimum level of logged events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Errors.
    Error,
    /// Errors and warnings.
    Warn,
    /// Information for operators, and above.
    #[default]
    Info,
    /// Information for developers, and above.
    Debug,
    /// Everything.
    Trace,
}

/// The format of log lines and their destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on standard error, with colours if it is a terminal.
    #[default]
    Auto,
    /// Text on standard error.
    Text,
    /// JSON on standard error, with the field names of Taskcluster's services.
    Json,
    /// Messages of the worker-runner protocol on standard output.
    ///
    /// A worker that also sends other messages to worker-runner passes `WorkerRunner::log_lines` to
    /// [`LogBuilder::writer`](crate::LogBuilder::writer) instead, so that messages do not interleave.
    Workerproto,
    /// Entries in systemd's journal. Requires the feature `journald`.
    Journald,
    /// Lines to the local syslog daemon. Requires the feature `syslog`.
    Syslog,
}

impl LogConfig {
    pub(crate) fn filter(&self) -> Targets {
        // `Targets` applies the longest matching name, so the order does not matter.
        let modules = self.modules.iter();
        Targets::new()
            .with_default(LevelFilter::from(self.level))
            .with_targets(modules.map(|(name, level)| (name.clone(), LevelFilter::from(*level))))
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
