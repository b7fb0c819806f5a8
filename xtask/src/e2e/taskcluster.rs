//! The official Python client uses the embedded Taskcluster.

use anyhow::Result;
use xshell::Shell;

use crate::e2e::python;
use crate::e2e::server::Server;

/// Starts the embedded Taskcluster and runs the Python checks.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let python = python::with_packages(sh, "target/e2e/python", &["taskcluster"])?;
    let server = Server::start_taskcluster(sh)?;
    python::run(sh, &python, "taskcluster/run.py", &server)?;
    server.stop(sh)
}
