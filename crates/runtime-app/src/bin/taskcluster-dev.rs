//! A Taskcluster for one machine, and commands to create tasks and read their logs. See `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime_dev_server::taskcluster_dev(std::env::args_os())
}
