//! The official Python client against the embedded Taskcluster.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use super::server::Server;
use super::{Outcome, python};

/// Starts the embedded Taskcluster, runs the Python checks and stops it.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    let python = match python::with_packages(sh, Path::new("target/e2e/python"), &["taskcluster"])?
    {
        Ok(python) => python,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let server = Server::start(sh, "runtime-taskcluster-embedded", "taskcluster", 3)?;
    // The checks are sources of this repository: nothing may be written beside them.
    let checks = cmd!(sh, "{python} -B xtask/e2e/taskcluster/run.py").envs(server.exports.clone());
    checks.run()?;
    server.stop(sh)?;
    Ok(Outcome::Passed)
}
