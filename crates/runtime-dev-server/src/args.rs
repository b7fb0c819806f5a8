//! The command line of `taskcluster-dev`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime_core::TaskId;

/// The end of `--help`.
const NOTES: &str = "\
The program prints the environment variables for clients, and runs until SIGTERM, SIGINT or SIGHUP. The root URL shows a
page with tasks, queues and workers:

  (umask 077; taskcluster-dev --data ~/taskcluster > variables) &
  until [ -s variables ]; do sleep 0.1; done; . ./variables
  worker run --connect --task-queue-id demo/local &
  taskcluster-dev tasks create my-task.yml --follow

The server is for one machine. It trusts everyone who can connect to its port: pages and /control need no credentials,
there is no TLS, and the credentials have all scopes. With --data, state and credentials are the same after a restart.
The commands `tasks` also work with a real deployment: set the variables to its root URL and credentials.";

/// A Taskcluster for one machine: queue, index, artifacts, secrets, clients and worker pools, with its state in a folder.
#[derive(Debug, Parser)]
#[command(name = "taskcluster-dev", version, after_help = NOTES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The folder with the state, which is created if necessary. By default, the state is lost when the program ends.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The port to listen on; 0 selects a free one. After a restart, use the same port so that workers can continue.
    #[arg(long, default_value_t = 8640)]
    pub(crate) port: u16,

    /// The address to listen on, which is part of the root URL. Everyone who can connect to it has full access.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,

    /// The time that `claimWork` waits for a task, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) long_poll: u64,

    /// The lifetime of a claim, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1200)]
    pub(crate) claim_timeout: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create tasks, read their logs, cancel and repeat them, here or on a real deployment.
    ///
    /// Uses the variables TASKCLUSTER_ROOT_URL, TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN, and
    /// TASKCLUSTER_CERTIFICATE for temporary credentials.
    Tasks {
        #[command(subcommand)]
        command: TasksCommand,
    },
    /// Store secrets, here or on a real deployment. Uses the same variables as `tasks`.
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Create or replace a secret, which expires after a year.
    Set {
        /// The name, such as `worker-pool:demo/local`.
        name: String,

        /// A file with a map (YAML or JSON).
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Create tasks, and print the id and the page of each.
    Create {
        /// Task definitions (YAML or JSON). All fields except `payload` and `taskQueueId` have defaults.
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// Follow the logs, one after the other, as `tasks log --follow` does.
        #[arg(long)]
        follow: bool,
    },
    /// Print the log of the last run. The exit code is 0 if the task has completed, and otherwise 1.
    Log {
        /// The id of the task.
        task_id: TaskId,

        /// Wait for the run, and print the log while it is written, until the task is resolved.
        #[arg(long)]
        follow: bool,
    },
    /// Print the state of a task and its runs.
    Status {
        /// The id of the task.
        task_id: TaskId,
    },
    /// Cancel a task, and print its state. A resolved task is not changed.
    Cancel {
        /// The id of the task.
        task_id: TaskId,
    },
    /// Run a resolved task again, and print its state. A task that is not resolved is not changed.
    Rerun {
        /// The id of the task.
        task_id: TaskId,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_names_the_trust() {
        Arguments::command().debug_assert();
        let help = Arguments::command().render_long_help().to_string();
        for text in ["for one machine", "trusts everyone", "[default: 127.0.0.1]"] {
            assert!(help.contains(text), "`{text}` is not in {help}");
        }
    }
}
