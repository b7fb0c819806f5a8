//! The official Python client uses the development server, before and after a crash.

use anyhow::Result;
use xshell::Shell;

use crate::e2e::python;
use crate::e2e::server::{self, Server, TASKCLUSTER};

/// Runs the Python checks twice against the same state, the second time after the server was killed.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let python = python::with_packages(sh, "target/e2e/python", &["taskcluster"])?;
    let program = server::build(sh, TASKCLUSTER, &[])?;
    let folder = sh.create_temp_dir()?;
    let data = folder.path().join("state");
    let start =
        || Server::start_built_taskcluster(&program, &["--data".as_ref(), data.as_os_str()]);
    let server = start()?;
    python::run(sh, &python, "taskcluster/run.py", &server)?;
    // Kills it.
    drop(server);
    let server = start()?;
    python::run(sh, &python, "taskcluster/run.py", &server)?;
    server.stop(sh)
}
