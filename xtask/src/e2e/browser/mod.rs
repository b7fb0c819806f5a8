//! Web pages in headless Chromium.
//!
//! Each check is a module: it starts a server, opens its pages and asserts their content. A new check must be added to
//! [`CHECKS`].

mod chromium;
mod deployment;
mod devtools;
mod live_log;
mod page;
mod shell;
mod status;

use anyhow::{Context, Result};
use xshell::Shell;

use crate::e2e::browser::chromium::Chromium;
use crate::e2e::browser::page::Page;
use crate::workspace;

/// The arguments are for the server and a blank page, which shares no storage with other checks.
type CheckFn = fn(&Shell, &mut Page<'_>) -> Result<()>;

const CHECKS: &[(&str, CheckFn)] = &[
    (
        "the root URL of an embedded Taskcluster is a page",
        deployment::run,
    ),
    (
        "a live log is followed, searched, paused, resumed after a disconnect, and coloured",
        live_log::run,
    ),
    ("a WebSocket opens a shell, types and resizes", shell::run),
    (
        "a status page shows tasks, machine, caches and incidents, and updates itself",
        status::run,
    ),
];

/// The folder of the screenshots, in the repository.
const SCREENSHOTS: &str = "target/e2e";

/// Copies the screenshots that the docs show.
pub(super) fn write_pictures(sh: &Shell) -> Result<()> {
    let root = workspace::root();
    for name in ["status.png", "live-log.png"] {
        let taken = root.join(SCREENSHOTS).join(name);
        sh.copy_file(&taken, root.join("docs/images").join(name))
            .with_context(|| format!("no `{}`: run the check `browser`", taken.display()))?;
    }
    Ok(())
}

/// Runs every check in one browser.
pub(super) fn run(sh: &Shell) -> Result<()> {
    let mut chromium = Chromium::start(sh)?;
    for (claim, check) in CHECKS {
        let mut page = chromium.open_page()?;
        check(sh, &mut page).with_context(|| format!("failed: {claim}"))?;
        page.close()
            .with_context(|| format!("errors while {claim}"))?;
        println!("{claim}: ok");
    }
    Ok(())
}
