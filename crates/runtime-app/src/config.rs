//! The configuration of the worker, from a file or from the command line.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use runtime_client::WorkerName;
use runtime_core::Secret;
use runtime_monitoring::{LogFormat, MonitoringConfig};
use runtime_webhook::WebHookConfig;
use runtime_worker::config::{self, ConfigDocument, Format, ShutdownConfig, WorkerConfig};
use runtime_worker::worker_runner::RunnerConfig;
use serde_json::{Value, json};

use crate::args::WorkerArgs;

/// The settings of the worker, except those of its engine.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) worker: WorkerConfig,
    pub(crate) web_hooks: WebHookConfig,
    pub(crate) monitoring: MonitoringConfig,
    pub(crate) status_port: Option<u16>,
    /// `None` for a worker that is configured by its command line.
    pub(crate) file: Option<PathBuf>,
    /// The values that were fetched from the secrets service.
    pub(crate) secrets: Vec<Secret>,
}

/// The source of a configuration.
pub(crate) enum ConfigSource {
    File(PathBuf),
    /// The file that worker-runner writes.
    WorkerRunner(PathBuf),
    Arguments {
        document: Value,
        /// A file with the section `webHooks`.
        web_hooks: Option<PathBuf>,
    },
}

impl ConfigSource {
    /// Returns the configuration that the command line describes, with files in `data`.
    pub(crate) fn from_args(
        args: &WorkerArgs,
        root_url: &str,
        data: &Path,
        default_level: &str,
    ) -> Self {
        let log_level = args.log_level.as_deref().unwrap_or(default_level);
        let document = json!({
            "worker": {
                "rootUrl": root_url,
                "taskQueueId": args.task_queue_id,
                "workerGroup": args.worker_group,
                "workerId": args.worker_id,
                "capacity": args.capacity,
                "dataFolder": data,
            },
            "monitoring": { "log": { "level": log_level.to_lowercase() } },
            "statusPort": args.status,
        });
        Self::Arguments {
            document,
            web_hooks: args.web_hooks.clone(),
        }
    }

    /// Returns the document, with values of variables resolved from the environment of the process.
    pub(crate) fn document(&self) -> Result<ConfigDocument> {
        let document = match self {
            Self::File(file) => ConfigDocument::load(file)?,
            Self::WorkerRunner(file) => return worker_runner_document(file),
            Self::Arguments { document, .. } => {
                ConfigDocument::parse(&document.to_string(), Format::Json)?
            }
        };
        Ok(with_variables(document))
    }

    /// Returns the section `webHooks` of the command line.
    pub(crate) fn web_hooks(&self) -> Result<Option<WebHookConfig>> {
        match self {
            Self::Arguments {
                web_hooks: Some(file),
                ..
            } => config::load(file).map(Some).context("--web-hooks"),
            _ => Ok(None),
        }
    }
}

fn with_variables(document: ConfigDocument) -> ConfigDocument {
    document.variables(|name| std::env::var(name))
}

/// Returns the configuration file of the worker, with the layers of the file that worker-runner writes.
fn worker_runner_document(file: &Path) -> Result<ConfigDocument> {
    let name = format!("`{}` of worker-runner", file.display());
    let config: Value = ConfigDocument::load(file)?.read()?;
    let config = RunnerConfig::parse(config, &SECTIONS);
    let config = config.with_context(|| format!("{name} is not an object"))?;
    let mut document = match &config.config_file {
        Some(file) => ConfigDocument::load(file)?,
        None => ConfigDocument::parse("{}", Format::Json)?,
    };
    let mut defaults = json!({
        "worker": { "shutdown": ["signals", "worker-runner"] },
        "monitoring": { "log": { "format": "workerproto" } },
    });
    let worker = config.identity.as_object().into_iter().flatten();
    for (key, value) in worker {
        defaults["worker"][key] = value.clone();
    }
    document.add_defaults(&name, defaults)?;
    document.add_layer(&name, config.sections)?;
    Ok(with_variables(document))
}

/// The sections of the configuration.
const SECTIONS: [&str; 5] = ["worker", "engine", "webHooks", "monitoring", "statusPort"];

impl Config {
    /// Checks settings against each other.
    pub(crate) fn check(&self) -> Result<()> {
        let sentry = self.monitoring.sentry.as_ref();
        let needs_dsn = sentry.is_some_and(|it| it.dsn.is_none() && it.project.is_none());
        let registers = self.worker.registration.is_some();
        let by_worker_runner = self.has_shutdown_source(ShutdownConfig::WorkerRunner);
        let problems = [
            (
                needs_dsn,
                "`monitoring.sentry` needs a `dsn`, or a `project` whose DSN the auth service provides",
            ),
            (
                registers && by_worker_runner,
                "worker-runner registers the worker: remove `worker.registration`, or worker-runner from `worker.shutdown`",
            ),
        ];
        let problems = problems.into_iter().filter(|(is_wrong, _)| *is_wrong);
        let problems: Vec<_> = problems.map(|(_, problem)| problem).collect();
        let place = self.file.as_ref();
        let place = place.map_or_else(String::new, |file| format!("in `{}`: ", file.display()));
        ensure!(problems.is_empty(), "{place}{}", problems.join("\n"));
        Ok(())
    }

    /// Returns whether worker-runner reads standard output, so that it may only contain messages.
    pub(crate) fn uses_worker_runner_output(&self) -> bool {
        self.has_shutdown_source(ShutdownConfig::WorkerRunner)
            || self.monitoring.log.format == LogFormat::Workerproto
    }

    pub(crate) fn has_shutdown_source(&self, source: ShutdownConfig) -> bool {
        self.worker.shutdown.contains(&source)
    }

    /// Returns the identity of the worker in the worker manager.
    pub(crate) fn worker_name(&self) -> WorkerName {
        self.worker.identity().into()
    }
}
