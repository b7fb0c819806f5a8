//! What the worker is told: by a file, or by the command line.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use runtime::monitoring::LogFormat;
use runtime::process::ProcessConfig;
use runtime::webhook::{self, LocalhostConfig};
use runtime::worker::config::{self, Format, ShutdownConfig, WorkerConfig};
use runtime::{client::WorkerName, monitoring};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::Args;

/// All settings of the worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Who the worker is, what it may use, and how it behaves.
    pub(crate) worker: WorkerConfig,

    /// How tasks run as processes.
    #[serde(default)]
    pub(crate) processes: ProcessConfig,

    /// How live logs can be reached; by default, from this machine only.
    #[serde(default = "from_this_machine")]
    pub(crate) web_hooks: webhook::WebHookConfig,

    /// Logs, metrics and error reports.
    #[serde(default)]
    pub(crate) monitoring: monitoring::MonitoringConfig,

    /// The port of 127.0.0.1 for a page that tells what the worker does; 0 takes a free one. By default
    /// there is no page.
    pub(crate) status_port: Option<u16>,
}

fn from_this_machine() -> webhook::WebHookConfig {
    webhook::WebHookConfig::Localhost(LocalhostConfig::default())
}

impl Config {
    /// Reads a file. `--connect`, which may come from the environment, must not contradict it.
    pub(crate) fn load(file: &Path, connect: Option<&str>) -> Result<Self> {
        let config: Self = config::load(file)?;
        let root_url = config.worker.identity().root_url;
        if let Some(connect) = connect.map(|url| url.trim_end_matches('/')) {
            ensure!(
                connect == root_url,
                "`{}` is for {root_url}, and --connect or TASKCLUSTER_ROOT_URL says {connect}; leave that out",
                file.display(),
            );
        }
        Ok(config)
    }

    /// What the command line says of a worker that keeps its files in `data`.
    pub(crate) fn of_args(args: &Args, root_url: &str, data: &Path) -> Result<Self> {
        // Tasks find the programs that this one would find.
        let path = std::env::var("PATH").into_iter().map(|path| ("PATH", path));
        let env: std::collections::BTreeMap<_, _> = path.collect();
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
            "monitoring": { "log": { "level": args.log_level.to_lowercase() } },
            "statusPort": args.status,
        });
        let mut config: Self = config::parse(&document.to_string(), Format::Json)?;
        if let Some(file) = &args.web_hooks {
            config.web_hooks = config::load(file).context("--web-hooks")?;
        }
        Ok(config)
    }

    /// Whether standard output is for messages to worker-runner, and for nothing else.
    pub(crate) fn speaks_to_worker_runner(&self) -> bool {
        self.worker.shutdown.contains(&ShutdownConfig::WorkerRunner)
            || self.monitoring.log.format == LogFormat::Workerproto
    }

    /// What the worker manager calls the worker.
    pub(crate) fn worker_name(&self) -> WorkerName {
        WorkerName {
            worker_pool_id: self.worker.task_queue_id.clone(),
            worker_group: self.worker.worker_group.clone(),
            worker_id: self.worker.worker_id.clone(),
        }
    }
}
