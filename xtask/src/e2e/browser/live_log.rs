//! The page of a live log.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use crate::e2e::browser::page::Page;
use crate::e2e::server::Server;
use crate::e2e::webhook;
use crate::workspace;

/// The numbers at the start of the lines.
const LINE_NUMBERS: &str = "[...document.querySelectorAll('#lines li')]
    .map((line) => Number(/^step (\\d+):/.exec(line.textContent)?.[1]))";

const LINE_COUNT: &str = "document.querySelectorAll('#lines li').length";

const IS_AT_END: &str = "(log => log.scrollTop + log.clientHeight >= log.scrollHeight - 2)(document.getElementById('log'))";

pub(super) fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = webhook::start(sh)?;
    page.resize(1000, 600)?;
    page.open(server.export("LIVE_URL")?)?;
    page.wait_for(
        "lines fill the page",
        &format!("{LINE_NUMBERS}.length > 60"),
    )?;
    let text = page.text("#log")?;
    ensure!(
        !text.contains('\u{1b}'),
        "the page shows escape sequences: {text}"
    );
    ensure!(page.count("#log li span")? > 0, "no text is coloured");
    follow(page)?;
    search(page)?;
    pause(page)?;
    wrap(page)?;
    reconnect(page)?;
    screenshot(page, "live-log.png")?;
    colours(page, &server)?;
    page.open(&format!("{}view.html", server.export("LOG_URL")?))?;
    wait_for_state(page, "complete")?;
    page.wait_for(
        "the last line is shown",
        "document.getElementById('log').innerText.includes('the end')",
    )?;
    server.stop(sh)
}

/// The view follows the end until the user scrolls, and again after a click on the button.
fn follow(page: &mut Page<'_>) -> Result<()> {
    page.wait_for("the end is in view", IS_AT_END)?;
    page.scroll("#log", -400)?;
    page.wait_for("the view has scrolled", &format!("!{IS_AT_END}"))?;
    page.eval("window.top_before = document.getElementById('log').scrollTop")?;
    page.eval(&format!("window.lines_before = {LINE_COUNT}"))?;
    page.wait_for("the log grows", &format!("{LINE_COUNT} > lines_before + 5"))?;
    let stays = page.eval("document.getElementById('log').scrollTop === top_before")?;
    ensure!(stays == true, "the view moved after the user scrolled");
    page.click("#end")?;
    page.wait_for("the end is in view again", IS_AT_END)
}

fn search(page: &mut Page<'_>) -> Result<()> {
    page.eval("document.getElementById('query').focus()")?;
    page.insert_text("STEP 2:")?;
    page.wait_for(
        "the matches are counted",
        "document.getElementById('hits').textContent === '1'",
    )?;
    page.press("Enter")?;
    page.wait_for(
        "the matching line is selected",
        "document.querySelector('#log .hit')?.textContent.startsWith('step 2:')",
    )?;
    screenshot(page, "live-log-search.png")?;
    page.eval("document.getElementById('query').value = ''")?;
    page.eval("document.getElementById('query').dispatchEvent(new Event('input'))")?;
    page.click("#end")
}

fn pause(page: &mut Page<'_>) -> Result<()> {
    page.click("#pause")?;
    // Lines that were in transit when the button was pressed are still added.
    page.eval("new Promise((done) => setTimeout(done, 300))")?;
    page.eval(&format!("window.paused_at = {LINE_COUNT}"))?;
    page.eval("new Promise((done) => setTimeout(done, 700))")?;
    let grown = page.eval(&format!("{LINE_COUNT} - paused_at"))?;
    ensure!(
        grown == 0,
        "{grown} lines were added while the log was paused"
    );
    page.click("#pause")?;
    page.wait_for(
        "the log continues",
        &format!("{LINE_COUNT} > paused_at + 6"),
    )?;
    expect_all_lines(page)
}

fn wrap(page: &mut Page<'_>) -> Result<()> {
    let overflow = "(log => log.scrollWidth > log.clientWidth)(document.getElementById('log'))";
    let wrapped = page.eval(overflow)?;
    ensure!(wrapped == false, "long lines are not wrapped");
    page.click("#wrap")?;
    page.wait_for("long lines overflow to the right", overflow)?;
    page.click("#wrap")
}

/// The page reconnects, and no line is lost or repeated.
fn reconnect(page: &mut Page<'_>) -> Result<()> {
    page.set_offline(true)?;
    // Offline mode affects new connections only, so the open one is stopped.
    page.eval("window.stop()")?;
    wait_for_state(page, "broken")?;
    page.set_offline(false)?;
    wait_for_state(page, "live")?;
    expect_all_lines(page)
}

/// Every line is present exactly once.
fn expect_all_lines(page: &mut Page<'_>) -> Result<()> {
    let numbers = page.eval(LINE_NUMBERS)?;
    let numbers = numbers.as_array().context("an array of numbers")?;
    let expected = (1..).take(numbers.len()).map(serde_json::Value::from);
    ensure!(
        numbers.iter().cloned().eq(expected),
        "lines are missing or repeated: {numbers:?}"
    );
    Ok(())
}

fn wait_for_state(page: &mut Page<'_>, name: &str) -> Result<()> {
    let has = format!("document.getElementById('state').classList.contains('{name}')");
    page.wait_for(&format!("the log is {name}"), &has)
}

/// Escape sequences of terminals, and a partial line.
fn colours(page: &mut Page<'_>, server: &Server) -> Result<()> {
    page.open(server.export("ASKING_URL")?)?;
    page.wait_for(
        "the question is shown",
        "document.getElementById('tail').textContent === 'Continue? [y/n] '",
    )?;
    // Blocks have no text before the browser lays them out, which it does when they are in view.
    page.wait_for(
        "the lines are laid out",
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
            "no text is {look}"
        );
    }
    screenshot(page, "live-log-colours.png")?;
    page.set_dark(true)?;
    screenshot(page, "live-log-dark.png")?;
    page.set_dark(false)
}

fn screenshot(page: &mut Page<'_>, name: &str) -> Result<()> {
    page.screenshot(&workspace::root().join(super::SCREENSHOTS).join(name))
}
