//! Names that pages give as proof or advice: the tests in the security model, and the metrics to alert on.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::bench;
use crate::tidy::files::File;
use crate::workspace::Workspace;

const SECURITY: &str = "docs/security.md";
const PRODUCTION: &str = "docs/guide/production.md";
const BENCHMARKS: &str = "docs/benchmarks.md";
const STATUS: &str = "docs/status.md";
const METRICS: &str = "docs/metrics.md";

/// Fails on a library without a word on its status, and on a bench without a word on its figures.
pub(super) fn check_mentions(files: &[File], workspace: &Workspace) -> Result<()> {
    let benches = bench::discover(workspace);
    let benches = benches
        .iter()
        .map(|bench| format!("cargo xtask bench {}", bench.name));
    let libraries = workspace
        .libraries()
        .map(|library| format!("`{}`", library.name));
    for (path, wanted) in [
        (BENCHMARKS, benches.collect()),
        (STATUS, libraries.collect::<Vec<_>>()),
    ] {
        let text = text(files, path)?;
        let missing: Vec<&String> = wanted
            .iter()
            .filter(|wanted| !text.contains(*wanted))
            .collect();
        ensure!(missing.is_empty(), "{path} does not mention {missing:?}");
    }
    Ok(())
}

/// Fails on a test that no source has, and on a metric that no worker has.
pub(super) fn check(files: &[File]) -> Result<()> {
    let sources = files.iter().filter(|file| file.has_extension("rs"));
    let functions: BTreeSet<&str> = sources.flat_map(|file| functions(&file.text)).collect();
    expect(SECURITY, tests(text(files, SECURITY)?), &functions)?;
    let metrics = metrics(text(files, METRICS)?).collect();
    expect(
        PRODUCTION,
        self::metrics(text(files, PRODUCTION)?),
        &metrics,
    )
}

fn text<'a>(files: &'a [File], path: &str) -> Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    Ok(&file.with_context(|| format!("there is no {path}"))?.text)
}

fn expect<'a>(
    path: &str,
    named: impl Iterator<Item = &'a str>,
    known: &BTreeSet<&str>,
) -> Result<()> {
    let unknown: BTreeSet<&str> = named.filter(|name| !known.contains(name)).collect();
    let list = unknown.into_iter().collect::<Vec<_>>().join(", ");
    ensure!(list.is_empty(), "{path} names what is not there: {list}");
    Ok(())
}

fn functions(source: &str) -> impl Iterator<Item = &str> {
    let after = source.split("fn ").skip(1);
    after.filter_map(|rest| rest.split(['(', '<']).next())
}

/// What stands between backticks and is a claim: at least four words.
fn tests(page: &str) -> impl Iterator<Item = &str> {
    let is_claim = |word: &&str| {
        let is_name = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name && word.matches('_').count() >= 3
    };
    let lines = page.lines().filter(|line| !line.starts_with("```"));
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(is_claim)
}

/// The names of metrics at Prometheus, also within expressions.
fn metrics(page: &str) -> impl Iterator<Item = &str> {
    let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // The module of the worker-runner protocol has the prefix of the metrics.
    words.filter(|word| word.starts_with("worker_") && *word != "worker_runner")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    fn check_pages(security: &str, production: &str) -> Result<()> {
        check(&[
            page("crates/a/tests/b.rs", "fn links_are_not_followed() {}\n"),
            page(METRICS, "| `tasks` | `worker_tasks` |\n"),
            page(SECURITY, security),
            page(PRODUCTION, production),
        ])
    }

    #[test]
    fn a_test_that_is_named_and_gone_is_found() {
        assert!(check_pages("| `links_are_not_followed`, `max_run_time` |", "").is_ok());
        let error = check_pages("| `links_are_never_followed` |", "").expect_err("it is gone");
        assert!(
            error
                .to_string()
                .ends_with("there: links_are_never_followed"),
            "{error}"
        );
    }

    #[test]
    fn an_alert_on_a_metric_that_is_gone_is_found() {
        assert!(check_pages("", "`increase(worker_tasks[1h]) > 2`").is_ok());
        let error = check_pages("", "`increase(worker_jobs[1h]) > 2`").expect_err("it is gone");
        assert!(error.to_string().ends_with("there: worker_jobs"), "{error}");
    }
}
