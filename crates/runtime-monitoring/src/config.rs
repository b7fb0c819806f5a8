//! What an application can configure.

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

    /// Tags on everything, such as the names of the worker.
    pub tags: BTreeMap<String, String>,

    /// Tags whose values make a metric a series of its own. Name none that has many values.
    pub labels: Vec<String>,

    /// Where to report errors to.
    #[cfg(feature = "sentry")]
    pub sentry: Option<crate::SentryConfig>,

    /// Report errors to worker-manager, too, which shows them to the people who run the pool, and to everybody else.
    #[cfg(feature = "taskcluster")]
    pub worker_manager: Option<crate::WorkerManagerConfig>,

    /// Where to push metrics to.
    #[cfg(feature = "otlp")]
    pub otlp: Option<crate::OtlpConfig>,
}

/// Configuration of the worker's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// What is logged at least.
    pub level: LogLevel,

    /// The level of single modules, such as `hyper` or `worker`; the longest that fits is used.
    pub modules: BTreeMap<String, LogLevel>,

    /// What a line looks like.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What needs a look.
    Error,
    /// What may need a look, too.
    Warn,
    /// What operators want to know, too.
    #[default]
    Info,
    /// What developers want to know, too.
    Debug,
    /// Everything.
    Trace,
}

/// What a line of the log looks like, and where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on standard error, with colours if that is a terminal.
    #[default]
    Auto,
    /// Text on standard error.
    Text,
    /// JSON on standard error, with the names that Taskcluster's services use.
    Json,
    /// Messages for Taskcluster's worker-runner on standard output. A worker that talks to it, too, gives the log the
    /// `Runner::log_lines` of that conversation by [`LogBuilder::writer`](crate::LogBuilder::writer).
    Workerproto,
    /// Entries for the journal of systemd; needs the feature `journald`.
    Journald,
    /// Lines for the syslog daemon of the machine; needs the feature `syslog`.
    Syslog,
}

impl LogConfig {
    pub(crate) fn filter(&self) -> Targets {
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
