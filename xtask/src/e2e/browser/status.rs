//! The status page of a worker.

use anyhow::{Result, ensure};
use xshell::Shell;

use crate::e2e::browser::page::Page;
use crate::e2e::server::Server;
use crate::workspace;

/// The secret that the example adds to its redactor and then writes everywhere.
const SECRET: &str = "correct-horse-battery";

pub(super) fn run(sh: &Shell, page: &mut Page<'_>) -> Result<()> {
    let server = Server::start(sh, "status", 1)?;
    let url = server.export("STATUS_URL")?;
    page.resize(1160, 900)?;
    without_javascript(page, url)?;
    live(page, url)?;
    window_sizes(page)?;
    other_endpoints(page)?;
    let folder = workspace::root().join(super::SCREENSHOTS);
    page.screenshot(&folder.join("status.png"))?;
    page.set_dark(true)?;
    page.screenshot(&folder.join("status-dark.png"))?;
    println!("screenshots: {}", folder.display());
    server.stop(sh)
}

/// All content is present without scripts.
fn without_javascript(page: &mut Page<'_>, url: &str) -> Result<()> {
    page.set_javascript(false)?;
    page.open(url)?;
    for (selector, expected) in [
        ("article.task", 2),
        ("article.task pre", 2),
        ("#machine svg", 4),
        ("#machine svg path.line", 6),
        ("#caches tbody tr", 5),
        ("article.incident", 2),
        ("#finished tbody tr", 3),
    ] {
        let count = page.count(selector)?;
        ensure!(
            count == expected,
            "{selector}: {count} elements, expected {expected}"
        );
    }
    let text = page.text("body")?;
    for part in [
        "alive",
        "ready",
        "linux64/opt: build",
        "a task could not be <finished>",
        "token [REDACTED] is not valid",
        "checkouts/linux64",
        "in use by 1",
        "evict: ",
    ] {
        ensure!(
            text.contains(part),
            "the page does not show `{part}`: {text}"
        );
    }
    let html = page.eval("document.documentElement.outerHTML")?;
    ensure!(
        !html.to_string().contains(SECRET),
        "the page contains a secret"
    );
    page.set_javascript(true)
}

/// Logs and times are updated without a reload.
fn live(page: &mut Page<'_>, url: &str) -> Result<()> {
    page.open(url)?;
    page.eval("window.mark = 1")?;
    page.eval("window.before = document.querySelector('pre').textContent.length")?;
    page.eval("window.up = document.querySelector('#health .quiet').textContent")?;
    page.wait_for(
        "the log of a task grows",
        "document.querySelector('pre').textContent.length > before + 20",
    )?;
    page.wait_for(
        "the uptime is updated",
        "document.querySelector('#health .quiet').textContent !== up",
    )?;
    ensure!(page.eval("window.mark")? == 1, "the page was reloaded");
    let repeated = page.eval(
        "(lines => lines.length - new Set(lines).size)(document.querySelector('pre').textContent.trim().split('\\n'))",
    )?;
    ensure!(repeated == 0, "{repeated} lines of the log are shown twice");
    let log = page.text("pre")?;
    ensure!(log.contains("<unit 1>"), "the log is not escaped: {log}");
    Ok(())
}

fn window_sizes(page: &mut Page<'_>) -> Result<()> {
    for width in [360, 768, 1160] {
        page.resize(width, 900)?;
        let overflow = page.eval("document.documentElement.scrollWidth - innerWidth")?;
        ensure!(
            overflow.as_f64().is_some_and(|pixels| pixels <= 0.0),
            "the page overflows by {overflow} pixels at a width of {width}"
        );
    }
    Ok(())
}

fn other_endpoints(page: &mut Page<'_>) -> Result<()> {
    for (path, part) in [
        ("metrics", "worker_tasks{state=\\\"running\\\"} 2.0"),
        ("tasks", "\\\"state\\\":\\\"running\\\""),
        ("healthz", "ok"),
        ("readyz", "ok"),
    ] {
        let found = page.eval(&format!(
            "fetch('{path}').then(response => response.text()).then(text => text.includes(\"{part}\"))"
        ))?;
        ensure!(found == true, "/{path} does not contain {part}");
    }
    Ok(())
}
