//! No-op tasks per second of the example worker, compared with scriptworker on the same queue.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::e2e::python;
use crate::e2e::server::{self, Program, Server, TASKCLUSTER};

/// Starts the embedded Taskcluster and runs tasks with both workers.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let python = python::with_packages(sh, "target/e2e/scriptworker", &["scriptworker"])?;
    // Only optimized programs are comparable.
    let build = |program| server::build(sh, program, &["--release"]);
    let worker = build(Program::Example("worker"))?;
    let taskcluster = build(TASKCLUSTER)?;
    let server = Server::start_built_taskcluster(&taskcluster, &[])?;
    let compare = cmd!(sh, "{python} -B xtask/e2e/scriptworker/run.py {worker}");
    compare.envs(server.exports.clone()).run()?;
    server.stop(sh)
}
