//! Our pages in headless Chromium.
//!
//! A check is a file: it starts what serves its pages, opens them, and says what must be there. To add one, write the
//! file and name its `CHECK` in [`CHECKS`].

mod chromium;
mod deployment;
mod devtools;
mod live_log;
mod page;
mod shell;
mod status;

use anyhow::{Context, Result};
use xshell::Shell;

use self::chromium::Chromium;
use self::page::Page;
use super::Outcome;

/// Something that must hold in a browser.
struct Check {
    name: &'static str,
    /// The claim, in a line.
    what: &'static str,
    /// Gets a page of its own, which is blank.
    run: fn(&Shell, &mut Page<'_>) -> Result<()>,
}

const CHECKS: &[Check] = &[
    deployment::CHECK,
    live_log::CHECK,
    shell::CHECK,
    status::CHECK,
];

/// Runs every check in one browser; each has a page of its own, and storage that it shares with nobody.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    let mut chromium = match Chromium::start(sh)? {
        Ok(chromium) => chromium,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    for check in CHECKS {
        let mut page = chromium.open_page()?;
        (check.run)(sh, &mut page).with_context(|| format!("{}: {}", check.name, check.what))?;
        page.close()
            .with_context(|| format!("{}: on its pages", check.name))?;
        println!("{}: {}: ok", check.name, check.what);
    }
    Ok(Outcome::Passed)
}
