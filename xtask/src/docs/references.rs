//! Names that pages cite: tests in the security model, metrics in alerts, benchmarks, libraries.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::bench;
use crate::by_name;
use crate::docs::production::PRODUCTION;
use crate::files::{self, File};
use crate::workspace::Workspace;

const SECURITY: &str = "docs/security.md";
const BENCHMARKS: &str = "docs/benchmarks.md";
const STATUS: &str = "docs/status.md";
const METRICS: &str = "docs/metrics.md";

/// Fails on a library that the status page omits, and on a benchmark that the page of benchmarks omits.
pub(super) fn check_mentions(files: &[File], workspace: &Workspace) -> Result<()> {
    let benchmarks = bench::discover(workspace).into_iter();
    let commands = benchmarks.map(|bench| format!("cargo xtask bench {}", bench.name));
    expect_mentions(files, BENCHMARKS, commands)?;
    let libraries = workspace.libraries();
    let names = libraries.map(|library| format!("`{}`", library.name));
    expect_mentions(files, STATUS, names)
}

fn expect_mentions(
    files: &[File],
    path: &str,
    expected: impl Iterator<Item = String>,
) -> Result<()> {
    let text = files::text(files, path)?;
    let missing: Vec<String> = expected.filter(|name| !text.contains(name)).collect();
    ensure!(missing.is_empty(), "{path} does not mention {missing:?}");
    Ok(())
}

/// Fails on a cited test or metric that does not exist.
pub(super) fn check(files: &[File]) -> Result<()> {
    let tests = cited_tests(files::text(files, SECURITY)?);
    expect_known(SECURITY, tests, &functions(files))?;
    let metrics = metric_names(files::text(files, METRICS)?).collect();
    let alerts = metric_names(files::text(files, PRODUCTION)?);
    expect_known(PRODUCTION, alerts, &metrics)
}

fn expect_known<'a>(
    path: &str,
    cited: impl Iterator<Item = &'a str>,
    known: &BTreeSet<&str>,
) -> Result<()> {
    let unknown: BTreeSet<&str> = cited.filter(|name| !known.contains(name)).collect();
    let unknown = by_name::list(unknown.into_iter());
    ensure!(unknown.is_empty(), "{path} cites unknown names: {unknown}");
    Ok(())
}

/// Returns the names of all functions, which include the tests.
pub(super) fn functions(files: &[File]) -> BTreeSet<&str> {
    // A search in the text is sufficient: a wrong match could only hide a missing test.
    let sources = files.iter().filter(|file| file.has_extension("rs"));
    let definitions = sources.flat_map(|file| file.text.split("fn ").skip(1));
    definitions
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect()
}

/// Returns the code spans that are names of tests: at least four words, unlike most other names.
fn cited_tests(page: &str) -> impl Iterator<Item = &str> {
    let is_test = |word: &&str| {
        let is_name = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name && word.matches('_').count() >= 3
    };
    let lines = page.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(files::code_spans).filter(is_test)
}

/// Returns the Prometheus names of metrics, even within expressions.
fn metric_names(page: &str) -> impl Iterator<Item = &str> {
    let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // The module of the worker-runner protocol has the prefix of the metrics.
    words.filter(|word| word.starts_with("worker_") && *word != "worker_runner")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pages(security: &str, production: &str) -> Result<()> {
        check(&[
            File::new("crates/a/tests/b.rs", "fn links_are_not_followed() {}\n"),
            File::new(METRICS, "| `tasks` | `worker_tasks` |\n"),
            File::new(SECURITY, security),
            File::new(PRODUCTION, production),
        ])
    }

    #[test]
    fn unknown_test_is_found() {
        assert!(check_pages("| `links_are_not_followed`, `max_run_time` |", "").is_ok());
        let error = check_pages("| `links_are_never_followed` |", "").expect_err("unknown");
        let error = error.to_string();
        assert!(
            error.ends_with("names: links_are_never_followed"),
            "{error}"
        );
    }

    #[test]
    fn unknown_metric_is_found() {
        assert!(check_pages("", "`increase(worker_tasks[1h]) > 2`").is_ok());
        let error = check_pages("", "`increase(worker_jobs[1h]) > 2`").expect_err("unknown");
        assert!(error.to_string().ends_with("names: worker_jobs"), "{error}");
    }
}
