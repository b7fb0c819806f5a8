//! Prometheus's Python client reads the metrics of a worker.

use anyhow::Result;
use xshell::Shell;

use crate::e2e::python;
use crate::e2e::server::Server;

/// Starts a status page and reads its metrics.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let python = python::with_packages(sh, "target/e2e/python-metrics", &["prometheus_client"])?;
    let server = Server::start(sh, "status", 1)?;
    python::run(sh, &python, "metrics/run.py", &server)?;
    server.stop(sh)
}
