//! Prometheus's own Python client reads a worker's metrics.

use std::path::Path;

use anyhow::Result;
use xshell::{Shell, cmd};

use super::server::Server;
use super::{Outcome, python};

/// Starts a status page, reads its metrics and stops it.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    let folder = Path::new("target/e2e/python-metrics");
    let python = match python::with_packages(sh, folder, &["prometheus_client"])? {
        Ok(python) => python,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let server = Server::start(sh, "runtime-monitoring", "status", 1)?;
    let checks = cmd!(sh, "{python} -B xtask/e2e/metrics/run.py").envs(server.exports.clone());
    checks.run()?;
    server.stop(sh)?;
    Ok(Outcome::Passed)
}
