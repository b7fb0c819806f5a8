//! The page of a live log.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::Check;
use super::page::Page;
use crate::e2e::server::Server;
use crate::e2e::webhook::{export, start};
use crate::workspace;

pub(super) const CHECK: Check = Check {
    name: "live-log",
    what: "a log is followed, searched and paused, found again after a break, and shown in colours",
    run,
};

/// The numbers that the example's lines begin with, in order.
const NUMBERS: &str = "[...document.querySelectorAll('#lines li')]
    .map((line) => Number(/^step (\\d+):/.exec(line.textContent)?.[1]))";

const IS_AT_END: &str = "(log => log.scrollTop + log.clientHeight >= log.scrollHeight - 2)(document.getElementById('log'))";

fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = start(sh)?;
    page.resize(1000, 600)?;
    page.open(export(&server, "LIVE_URL")?)?;
    page.wait_for("lines fill the page", &format!("{NUMBERS}.length > 60"))?;
    let text = page.text("#log")?;
    ensure!(!text.contains('\u{1b}'), "the page shows escapes: {text}");
    ensure!(page.count("#log li span")? > 0, "nothing is coloured");
    follow(page)?;
    search(page)?;
    pause(page)?;
    wrap(page)?;
    break_off(page)?;
    picture(page, "live-log.png")?;
    colours(page, &server)?;
    page.open(&format!("{}view.html", export(&server, "LOG_URL")?))?;
    state(page, "complete")?;
    page.wait_for(
        "its last line is shown",
        "document.getElementById('log').innerText.includes('the end')",
    )?;
    server.stop(sh)
}

/// The page stays at the end until a person scrolls, and goes back when asked.
fn follow(page: &mut Page<'_>) -> Result<()> {
    page.wait_for("the end is in view", IS_AT_END)?;
    page.scroll("#log", -400)?;
    page.wait_for("the view was moved", &format!("!{IS_AT_END}"))?;
    page.eval("window.top_before = document.getElementById('log').scrollTop")?;
    page.eval("window.lines_before = document.querySelectorAll('#lines li').length")?;
    page.wait_for(
        "more lines come",
        "document.querySelectorAll('#lines li').length > lines_before + 5",
    )?;
    let stays = page.eval("document.getElementById('log').scrollTop === top_before")?;
    ensure!(stays == true, "the view moves while somebody reads");
    page.click("#end")?;
    page.wait_for("the end is in view again", IS_AT_END)
}

fn search(page: &mut Page<'_>) -> Result<()> {
    page.eval("document.getElementById('query').focus()")?;
    page.insert_text("STEP 2:")?;
    page.wait_for(
        "the hits are counted",
        "document.getElementById('hits').textContent === '1'",
    )?;
    page.press("Enter")?;
    page.wait_for(
        "a line is found",
        "document.querySelector('#log .hit')?.textContent.startsWith('step 2:')",
    )?;
    picture(page, "live-log-search.png")?;
    page.eval("document.getElementById('query').value = ''")?;
    page.eval("document.getElementById('query').dispatchEvent(new Event('input'))")?;
    page.click("#end")
}

fn pause(page: &mut Page<'_>) -> Result<()> {
    page.click("#pause")?;
    let count = "document.querySelectorAll('#lines li').length";
    // What was on its way when the button was pressed still comes.
    page.eval("new Promise((done) => setTimeout(done, 300))")?;
    page.eval(&format!("window.paused_at = {count}"))?;
    page.eval("new Promise((done) => setTimeout(done, 700))")?;
    let grown = page.eval(&format!("{count} - paused_at"))?;
    ensure!(grown == 0, "{grown} lines came while the log was paused");
    page.click("#pause")?;
    page.wait_for("the log goes on", &format!("{count} > paused_at + 6"))?;
    complete_numbers(page)
}

fn wrap(page: &mut Page<'_>) -> Result<()> {
    let overflow = "(log => log.scrollWidth > log.clientWidth)(document.getElementById('log'))";
    let wrapped = page.eval(overflow)?;
    ensure!(wrapped == false, "long lines are not wrapped");
    page.click("#wrap")?;
    page.wait_for("long lines go on to the right", overflow)?;
    page.click("#wrap")
}

/// A connection that breaks is made again, and no line is lost or repeated.
fn break_off(page: &mut Page<'_>) -> Result<()> {
    page.set_offline(true)?;
    // That concerns new connections; the one that there is ends like this.
    page.eval("window.stop()")?;
    state(page, "broken")?;
    page.set_offline(false)?;
    state(page, "live")?;
    complete_numbers(page)
}

/// Every line is there, once.
fn complete_numbers(page: &mut Page<'_>) -> Result<()> {
    let numbers = page.eval(NUMBERS)?;
    let numbers = numbers.as_array().context("the lines have numbers")?;
    let expected = (1..).take(numbers.len()).map(serde_json::Value::from);
    ensure!(
        numbers.iter().cloned().eq(expected),
        "lines are missing or repeated: {numbers:?}"
    );
    Ok(())
}

fn state(page: &mut Page<'_>, name: &str) -> Result<()> {
    let has = format!("document.getElementById('state').classList.contains('{name}')");
    page.wait_for(&format!("the log is {name}"), &has)
}

/// What terminals show, and a line that has no end yet.
fn colours(page: &mut Page<'_>, server: &Server) -> Result<()> {
    page.open(export(server, "ASKING_URL")?)?;
    page.wait_for(
        "the question is shown",
        "document.getElementById('tail').textContent === 'Continue? [y/n] '",
    )?;
    // The browser lays blocks out when it finds them in view, and has no text of them before.
    page.wait_for(
        "the lines above it are laid out",
        "document.getElementById('lines').innerText !== ''",
    )?;
    let text = page.text("#lines")?;
    for line in ["100 %", "<b>no markup</b> & no entity", "to the next line"] {
        ensure!(
            text.contains(line),
            "the page does not show `{line}`: {text}"
        );
    }
    ensure!(
        !text.contains("10 %\n") && !text.contains("title"),
        "{text}"
    );
    for look in [
        "bold",
        "dim",
        "italic",
        "underline",
        "inverse",
        "f1",
        "b1",
        "bright",
    ] {
        ensure!(
            page.count(&format!("#lines .{look}"))? > 0,
            "nothing is {look}"
        );
    }
    picture(page, "live-log-colours.png")?;
    page.set_dark(true)?;
    picture(page, "live-log-dark.png")?;
    page.set_dark(false)
}

fn picture(page: &mut Page<'_>, name: &str) -> Result<()> {
    page.screenshot(&workspace::root().join("target/e2e").join(name))
}
