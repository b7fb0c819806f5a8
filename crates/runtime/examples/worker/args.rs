//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs Taskcluster tasks as processes of this machine.
///
/// Without arguments it starts an embedded Taskcluster, runs the demo tasks that ship with this
/// example, and prints how they ended.
#[derive(Debug, Parser)]
#[command(name = "worker")]
pub(crate) struct Args {
    /// Task definitions (JSON or YAML) to run instead of the demo tasks; missing fields are filled in.
    pub(crate) definitions: Vec<PathBuf>,

    /// Work for the deployment at this root URL until SIGTERM or SIGINT, with the credentials in
    /// TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and TASKCLUSTER_CERTIFICATE.
    #[arg(long, value_name = "ROOT_URL", env = "TASKCLUSTER_ROOT_URL", conflicts_with_all = ["definitions", "keep", "port"])]
    pub(crate) connect: Option<String>,

    /// Work for the deployment that this file (YAML, TOML or JSON) names, with all its settings, until SIGTERM or
    /// SIGINT.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "definitions", "keep", "port", "task_queue_id", "worker_group", "worker_id", "capacity", "data",
            "web_hooks", "status", "log_level",
        ],
    )]
    pub(crate) config: Option<PathBuf>,

    /// Print the JSON schema of the file for --config, and do nothing else.
    #[arg(long)]
    pub(crate) config_schema: bool,

    /// Print the settings of --config with their defaults and without secrets, and do nothing else.
    #[arg(long, requires = "config")]
    pub(crate) print_config: bool,

    /// Print what authors of tasks must know of this worker, as Markdown, and do nothing else.
    #[arg(long)]
    pub(crate) print_docs: bool,

    /// Keep the embedded Taskcluster and the worker running, and print how another client reaches them.
    #[arg(long)]
    pub(crate) keep: bool,

    /// The port of the embedded Taskcluster on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,

    /// The queue to claim from.
    #[arg(
        long,
        value_name = "PROVISIONER/WORKER-TYPE",
        default_value = "demo/local"
    )]
    pub(crate) task_queue_id: String,

    /// The group of the worker.
    #[arg(long, default_value = "local")]
    pub(crate) worker_group: String,

    /// The name of the worker within its group; unique among live workers.
    #[arg(long, default_value_t = format!("worker-{}", std::process::id()))]
    pub(crate) worker_id: String,

    /// How many tasks run at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) capacity: u8,

    /// Where caches and temporary files go; by default a folder that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,

    /// How live logs can be reached: a file (YAML, TOML or JSON) with the provider and its settings. By
    /// default, from this machine only.
    #[arg(long, value_name = "FILE")]
    pub(crate) web_hooks: Option<PathBuf>,

    /// Print the JSON schema of the file for --web-hooks, and do nothing else.
    #[arg(long)]
    pub(crate) web_hooks_schema: bool,

    /// Serve a page that tells what the worker does on this port of 127.0.0.1; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    pub(crate) status: Option<u16>,

    /// What the worker itself logs to standard error: error, warn, info, debug or trace.
    #[arg(long, default_value = "error")]
    pub(crate) log_level: String,

    /// Print the results as JSON, one object a line, and progress to standard error.
    #[arg(long)]
    pub(crate) json: bool,
}
