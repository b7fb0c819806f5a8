//! How many no-op tasks a second the example worker does, beside scriptworker on the same queue.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use super::server::{self, Server};
use super::{Outcome, python};
use crate::workspace::FACADE;

/// Starts the embedded Taskcluster, lets both workers run tasks from it, and stops it.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    let folder = Path::new("target/e2e/scriptworker");
    let python = match python::with_packages(sh, folder, &["scriptworker"])? {
        Ok(python) => python,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    // Figures of programs that are not optimized say nothing.
    let optimized = |package, example| server::build(sh, package, example, &["--release"]);
    let worker = optimized(FACADE, "worker")?;
    let server = Server::start_program(
        &optimized("runtime-taskcluster-embedded", "taskcluster")?,
        3,
    )?;
    let compare = cmd!(sh, "{python} -B xtask/e2e/scriptworker/run.py {worker}");
    compare.envs(server.exports.clone()).run()?;
    server.stop(sh)?;
    Ok(Outcome::Passed)
}
