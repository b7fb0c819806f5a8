//! The page at the root of the embedded Taskcluster.

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::e2e::browser::page::Page;
use crate::e2e::server::Server;

pub(super) fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = Server::start_taskcluster(sh)?;
    page.open(server.export("TASKCLUSTER_ROOT_URL")?)?;
    let text = page.text("body")?;
    ensure!(text.contains("Taskcluster"), "the page shows: {text}");
    server.stop(sh)
}
