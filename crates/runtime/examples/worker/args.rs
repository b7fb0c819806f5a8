//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;

/// Runs Taskcluster tasks as processes of this machine.
///
/// Without arguments, starts an embedded Taskcluster, runs the demo tasks of this example, and prints their
/// results.
#[derive(Debug, Parser)]
#[command(name = "worker")]
pub(crate) struct Args {
    /// Task definitions (JSON or YAML) to run instead of the demo tasks. Missing fields except `payload` are
    /// filled in.
    pub(crate) definitions: Vec<PathBuf>,

    /// Claim tasks from the deployment at this root URL until SIGTERM, SIGINT or SIGHUP. Without a value, uses the variable
    /// TASKCLUSTER_ROOT_URL. Needs the variables TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN, and
    /// TASKCLUSTER_CERTIFICATE for temporary credentials.
    #[arg(long, value_name = "ROOT_URL", num_args = 0..=1, conflicts_with_all = ["definitions", "keep", "port"])]
    pub(crate) connect: Option<Option<String>>,

    /// Claim tasks as configured in this file (YAML, TOML or JSON) until SIGTERM, SIGINT or SIGHUP.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "definitions", "keep", "port", "task_queue_id", "worker_group", "worker_id", "capacity", "data",
            "web_hooks", "status", "log_level",
        ],
    )]
    pub(crate) config: Option<PathBuf>,

    /// Print the JSON schema of the --config file and exit.
    #[arg(long)]
    pub(crate) config_schema: bool,

    /// Print the settings of the --config file, with defaults and without secrets, and exit.
    #[arg(long, requires = "config")]
    pub(crate) print_config: bool,

    /// Check root URL, clock, credentials and scopes of --connect or of the --config file, print the results and exit.
    #[arg(long)]
    pub(crate) check: bool,

    /// Print the documentation for task authors as Markdown and exit.
    #[arg(long)]
    pub(crate) print_docs: bool,

    /// Keep the embedded Taskcluster and the worker running after the tasks, and print the variables for other
    /// clients.
    #[arg(long)]
    pub(crate) keep: bool,

    /// The port of the embedded Taskcluster on 127.0.0.1; 0 selects a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,

    /// The task queue to claim from.
    #[arg(
        long,
        value_name = "PROVISIONER/WORKER-TYPE",
        default_value = "demo/local"
    )]
    pub(crate) task_queue_id: String,

    /// The group of the worker.
    #[arg(long, default_value = "local")]
    pub(crate) worker_group: String,

    /// The ID of the worker, unique within its group.
    #[arg(long, default_value_t = format!("worker-{}", std::process::id()))]
    pub(crate) worker_id: String,

    /// The maximum number of concurrent tasks.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) capacity: u8,

    /// The folder for caches and temporary files. By default a temporary folder that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,

    /// A file (YAML, TOML or JSON) with the provider for live logs and its settings. By default, live logs are
    /// served on this machine only.
    #[arg(long, value_name = "FILE")]
    pub(crate) web_hooks: Option<PathBuf>,

    /// Print the JSON schema of the --web-hooks file and exit.
    #[arg(long)]
    pub(crate) web_hooks_schema: bool,

    /// Serve the status page of the worker on this port of 127.0.0.1; 0 selects a free one.
    #[arg(long, value_name = "PORT")]
    pub(crate) status: Option<u16>,

    /// The level of the worker's own log on standard error: error, warn, info, debug or trace. Default: info with
    /// --connect, error in the demo.
    #[arg(long)]
    pub(crate) log_level: Option<String>,

    /// Print the results as JSON, one object per line, and progress to standard error.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// Returns the root URL of `--connect`, if it is given.
    ///
    /// The variable alone does not connect: it is often set for other clients, and the demo must not claim real tasks.
    pub(crate) fn root_url(&self) -> Result<Option<String>> {
        match &self.connect {
            Some(None) => std::env::var("TASKCLUSTER_ROOT_URL")
                .map(Some)
                .context("--connect needs a root URL, as its value or in TASKCLUSTER_ROOT_URL"),
            Some(root_url) => Ok(root_url.clone()),
            None => Ok(None),
        }
    }
}
