//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// The arguments of the program. Its name and version are those of the application.
///
/// Without a command, they are the arguments of `run-task`.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) tasks: TaskArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Claim and run tasks until SIGTERM, SIGINT or SIGHUP.
    Run(RunArgs),
    /// Check configuration, root URL, clock, credentials and scopes, and print the results with advice.
    Check(ConfigArgs),
    /// Print the effective values of the configuration, without secrets.
    PrintConfig(PrintConfigArgs),
    /// Print the JSON schema of the configuration, for editors.
    Schema(SchemaArgs),
    /// Print the documentation for authors of tasks as Markdown.
    Docs(DocsArgs),
    /// Print a shell script that completes commands and options.
    Completions(CompletionsArgs),
    /// Run tasks on an embedded Taskcluster and print their results. With a single task, its log is printed as well, and
    /// the exit code is that of the task.
    RunTask(TaskArgs),
    /// Run the worker with an embedded Taskcluster for other clients, until SIGTERM, SIGINT or SIGHUP.
    Dev(DevArgs),
}

/// The configuration: a file, or a root URL and options.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "task_queue_id", "worker_group", "worker_id", "capacity", "data", "web_hooks", "status", "log_level",
        ],
    )]
    pub(crate) config: Option<PathBuf>,

    /// The root URL of the deployment, for a worker without a configuration file. Without a value, uses the variable
    /// TASKCLUSTER_ROOT_URL. Needs the variables TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN, and
    /// TASKCLUSTER_CERTIFICATE for temporary credentials.
    #[arg(long, value_name = "ROOT_URL", num_args = 0..=1, conflicts_with = "config")]
    pub(crate) connect: Option<Option<String>>,

    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

impl ConfigArgs {
    /// Returns the root URL of `--connect`.
    ///
    /// The variable alone has no effect: it is often set for other clients, and no command may claim real tasks without
    /// an explicit option.
    pub(crate) fn root_url(&self) -> Result<String> {
        match &self.connect {
            Some(Some(root_url)) => Ok(root_url.clone()),
            Some(None) => std::env::var("TASKCLUSTER_ROOT_URL")
                .context("--connect needs a root URL, as its value or in TASKCLUSTER_ROOT_URL"),
            None => bail!("missing --config FILE or --connect ROOT_URL"),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    #[command(flatten)]
    pub(crate) options: RunOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Print progress to standard error.
    #[arg(long)]
    pub(crate) json: bool,

    /// The configuration file is the one that worker-runner writes; its key `configFile` is the path of the worker's
    /// configuration.
    #[arg(long, requires = "config")]
    pub(crate) with_worker_runner: bool,

    /// Stop after this number of tasks. Overrides `worker.maxTasks` of the configuration.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_tasks: Option<u64>,

    /// Stop after one task, like `--max-tasks 1`.
    #[arg(long, conflicts_with = "max_tasks")]
    once: bool,
}

impl RunOptions {
    /// Returns the number of tasks after which the worker stops.
    pub(crate) fn max_tasks(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.max_tasks }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PrintConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Do not contact the deployment, whose layers and secrets are then not included.
    #[arg(long)]
    pub(crate) local: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Print the schema of a --web-hooks file instead.
    #[arg(long)]
    pub(crate) web_hooks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DocsArgs {
    /// The configuration file (YAML, TOML or JSON) of the worker. By default, the worker has default settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Task definitions (JSON or YAML) to run. Missing fields except `payload` are filled in.
    pub(crate) definitions: Vec<PathBuf>,

    /// Keep the embedded Taskcluster and the worker running after the tasks, and print the variables for other
    /// clients.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Print the results as JSON, one object per line, and progress to standard error.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) dev: DevArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The port of the embedded Taskcluster on 127.0.0.1; 0 selects a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,

    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// The settings of a worker without a configuration file.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
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

    /// The folder for caches and temporary files. By default, a temporary folder that is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,

    /// A file (YAML, TOML or JSON) with the provider for live logs and its settings. By default, live logs are
    /// served on this machine only.
    #[arg(long, value_name = "FILE")]
    pub(crate) web_hooks: Option<PathBuf>,

    /// Serve the status page of the worker on this port of 127.0.0.1; 0 selects a free one.
    #[arg(long, value_name = "PORT")]
    pub(crate) status: Option<u16>,

    /// The level of the worker's log on standard error: error, warn, info, debug or trace. Default: info for `run`,
    /// error for commands that run the given tasks.
    #[arg(long)]
    pub(crate) log_level: Option<String>,
}
