//! No-op tasks per second of the example worker, compared with scriptworker on the same queue.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::e2e::python;
use crate::e2e::server::{self, Server};

/// Starts the embedded Taskcluster and runs tasks with both workers.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let python = python::with_packages(sh, "target/e2e/scriptworker", &["scriptworker"])?;
    // Only optimized programs are comparable.
    let build = |example| server::build(sh, example, &["--release"]);
    let worker = build("worker")?;
    let taskcluster = build("taskcluster")?;
    let server = Server::start_program(&taskcluster, 3)?;
    let compare = cmd!(sh, "{python} -B xtask/e2e/scriptworker/run.py {worker}");
    compare.envs(server.exports.clone()).run()?;
    server.stop(sh)
}
