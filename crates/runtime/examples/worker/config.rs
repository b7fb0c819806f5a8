//! The configuration of the worker, from a file or from the command line.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use runtime::client::WorkerName;
use runtime::monitoring::{LogFormat, MonitoringConfig};
use runtime::process::ProcessConfig;
use runtime::webhook::{LocalhostConfig, WebHookConfig};
use runtime::worker::config::{self, Format, ShutdownConfig, WorkerConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::Args;

/// The settings of the worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// The identity, limits and behaviour of the worker.
    pub(crate) worker: WorkerConfig,

    /// The engine that runs tasks as processes.
    #[serde(default)]
    pub(crate) processes: ProcessConfig,

    /// The provider for live logs. The default serves them on this machine only.
    #[serde(default = "default_web_hooks")]
    pub(crate) web_hooks: WebHookConfig,

    /// Logs, metrics and error reports.
    #[serde(default)]
    pub(crate) monitoring: MonitoringConfig,

    /// The port of the status page on 127.0.0.1; 0 selects a free one. By default there is no page.
    pub(crate) status_port: Option<u16>,
}

fn default_web_hooks() -> WebHookConfig {
    WebHookConfig::Localhost(LocalhostConfig::default())
}

/// The hosts of a deployment on this machine.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

impl Config {
    /// Reads a file. `connect` must be its root URL if it is given.
    pub(crate) fn load(file: &Path, connect: Option<&str>) -> Result<Self> {
        let config: Self = config::load(file)?;
        config
            .check()
            .with_context(|| format!("in `{}`", file.display()))?;
        let config = config.with_local_deployment();
        let root_url = config.worker.identity().root_url;
        if let Some(connect) = connect.map(|url| url.trim_end_matches('/')) {
            ensure!(
                connect == root_url,
                "`{}` is for {root_url}, but --connect is {connect}: remove one of them",
                file.display(),
            );
        }
        Ok(config)
    }

    /// Creates the configuration that the command line describes, with files in `data`.
    pub(crate) fn from_args(args: &Args, root_url: &str, data: &Path) -> Result<Self> {
        // Tasks find the same programs as this process.
        let env = std::env::var("PATH").map_or_else(|_| json!({}), |path| json!({ "PATH": path }));
        // The demo prints its results itself.
        let default_level = if args.connect.is_some() {
            "info"
        } else {
            "error"
        };
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
            "processes": { "env": env },
            "monitoring": { "log": { "level": log_level.to_lowercase() } },
            "statusPort": args.status,
        });
        let mut config: Self = config::parse(&document.to_string(), Format::Json)?;
        if let Some(file) = &args.web_hooks {
            config.web_hooks = config::load(file).context("--web-hooks")?;
        }
        Ok(config.with_local_deployment())
    }

    /// Checks settings against each other.
    fn check(&self) -> Result<()> {
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
        ensure!(problems.is_empty(), "{}", problems.join("\n"));
        Ok(())
    }

    /// Lets tasks fetch from this machine if the deployment is a test server on it. `--print-config` shows it.
    fn with_local_deployment(mut self) -> Self {
        let root_url = &self.worker.root_url;
        let is_local = LOCAL_HOSTS.into_iter().any(|host| {
            let rest = root_url.strip_prefix("http://");
            let rest = rest.and_then(|rest| rest.strip_prefix(host));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if is_local {
            let hosts = LOCAL_HOSTS.map(|host| host.parse().expect("a host"));
            self.worker.fetch.allowed_hosts.extend(hosts);
        }
        self
    }

    /// Reports whether worker-runner reads standard output, so that it may only contain messages.
    pub(crate) fn uses_worker_runner_output(&self) -> bool {
        self.has_shutdown_source(ShutdownConfig::WorkerRunner)
            || self.monitoring.log.format == LogFormat::Workerproto
    }

    pub(crate) fn has_shutdown_source(&self, source: ShutdownConfig) -> bool {
        self.worker.shutdown.contains(&source)
    }

    /// Returns the identity of the worker in the worker manager.
    pub(crate) fn worker_name(&self) -> WorkerName {
        WorkerName {
            worker_pool_id: self.worker.task_queue_id.clone(),
            worker_group: self.worker.worker_group.clone(),
            worker_id: self.worker.worker_id.clone(),
        }
    }
}
