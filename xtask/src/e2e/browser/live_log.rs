//! The page of a live log.

use anyhow::{Result, ensure};
use xshell::Shell;

use super::Check;
use super::page::Page;
use crate::e2e::webhook::{export, start};

pub(super) const CHECK: Check = Check {
    name: "live-log",
    what: "a log is followed, searched and shown in colours",
    run,
};

fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = start(sh)?;
    page.open(export(&server, "LIVE_URL")?)?;
    page.wait_for(
        "lines come",
        "document.querySelectorAll('#log li').length > 5",
    )?;
    let text = page.text("#log")?;
    ensure!(
        text.contains("compiling something"),
        "the page shows: {text}"
    );
    ensure!(!text.contains('\u{1b}'), "the page shows escapes: {text}");
    ensure!(page.count("#log li span")? > 0, "nothing is coloured");

    page.click("#query")?;
    page.insert_text("step 2:")?;
    page.press("Enter")?;
    page.wait_for(
        "a line is found",
        "document.querySelectorAll('#log .hit').length === 1",
    )?;

    page.click("#pause")?;
    let is_pressed = "document.getElementById('pause').getAttribute('aria-pressed') === 'true'";
    page.wait_for("the log is paused", is_pressed)?;

    page.open(&format!("{}view.html", export(&server, "LOG_URL")?))?;
    page.wait_for(
        "the end is told",
        "document.getElementById('state').textContent === 'complete'",
    )?;
    let text = page.text("#log")?;
    ensure!(text.contains("the end"), "the page shows: {text}");
    server.stop(sh)
}
