//! The page at the root of the embedded Taskcluster.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::Check;
use super::page::Page;
use crate::e2e::server::Server;

pub(super) const CHECK: Check = Check {
    name: "deployment",
    what: "the root URL of an embedded Taskcluster is a page to look at",
    run,
};

fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = Server::start(sh, "runtime-taskcluster-embedded", "taskcluster", 3)?;
    let mut exports = server.exports.iter();
    let root = exports.find(|(name, _)| name == "TASKCLUSTER_ROOT_URL");
    let (_, root) = root.context("the server exports its root URL")?;
    page.open(root)?;
    let text = page.text("body")?;
    ensure!(text.contains("Taskcluster"), "the page shows: {text}");
    server.stop(sh)
}
