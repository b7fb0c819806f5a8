//! What an application can configure.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::LineFormat;

/// Configuration of monitoring.
///
/// ```
/// let config: runtime_monitoring::Config = serde_json::from_str(
///     r#"{"log": {"level": "debug", "modules": {"hyper": "warn"}}, "tags": {"region": "eu"}}"#,
/// )?;
/// # assert_eq!(config.tags["region"], "eu");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The worker's own log.
    pub log: LogConfig,

    /// Tags on everything, such as the names of the worker.
    pub tags: BTreeMap<String, String>,

    /// Tags whose values make a metric a series of its own. Name none that has many values.
    pub labels: Vec<String>,
}

/// Configuration of the worker's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, with colours if it goes to a terminal.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON, with the names that Taskcluster's services use.
    Json,
}

impl LogConfig {
    pub(crate) fn filter(&self) -> Targets {
        let modules = self.modules.iter();
        Targets::new()
            .with_default(LevelFilter::from(self.level))
            .with_targets(modules.map(|(name, level)| (name.clone(), LevelFilter::from(*level))))
    }
}

impl LogFormat {
    /// What lines on standard error look like.
    pub(crate) fn on_stderr(self) -> LineFormat {
        match self {
            Self::Auto => LineFormat::Text {
                colours: std::io::stderr().is_terminal(),
            },
            Self::Text => LineFormat::Text { colours: false },
            Self::Json => LineFormat::Json,
        }
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
