//! `cargo xtask ci`: all checks, the quick ones first.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xshell::Shell;

use crate::workspace::cargo;
use crate::{budget, by_name, docs, e2e, features, loom, minimal_versions, tidy};

/// A named check.
struct Step(&'static str, fn(&Shell) -> Result<()>);

/// The steps in the order they run.
///
/// clippy, docs and features share the check artifacts of the dependencies. The tests are last because they take
/// longest, and their output is then near the end of the log.
const STEPS: &[Step] = &[
    Step("fmt", fmt),
    Step("tidy", tidy::run),
    Step("budget", budget::run),
    Step("clippy", clippy),
    Step("docs", |sh| docs::run(sh, false, false)),
    Step("features", |sh| features::run(sh, &[], false)),
    Step("minimal-versions", minimal_versions::run),
    Step("loom", loom::run_bounded),
    Step("test", test),
    Step("e2e", e2e::run_local),
];

/// Runs the named steps, or all of them, and stops at the first failure.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    let steps = if names.is_empty() {
        STEPS.iter().collect()
    } else {
        by_name::select("step", STEPS, |step| step.0, names)?
    };
    let mut durations = Vec::new();
    for Step(name, check) in steps {
        let group = LogGroup::open(name);
        check(sh)
            .with_context(|| format!("step `{name}` failed; rerun: `cargo xtask ci {name}`"))?;
        durations.push((*name, group.start.elapsed()));
    }
    print_summary(&durations);
    Ok(())
}

fn fmt(sh: &Shell) -> Result<()> {
    Ok(cargo(sh).args(["fmt", "--all", "--check"]).run()?)
}

fn clippy(sh: &Shell) -> Result<()> {
    // `--locked` also checks that Cargo.lock matches the manifests.
    let scope = ["--locked", "--workspace", "--all-targets", "--all-features"];
    let clippy = cargo(sh).arg("clippy").args(scope);
    Ok(clippy.args(["--", "-D", "warnings"]).run()?)
}

fn test(sh: &Shell) -> Result<()> {
    let test = cargo(sh).args(["test", "--workspace", "--all-features"]);
    Ok(test.run()?)
}

fn print_summary(durations: &[(&str, Duration)]) {
    println!();
    for (name, duration) in durations {
        println!("{name:<16} {:>7.1} s", duration.as_secs_f64());
    }
    let total: Duration = durations.iter().map(|(_, duration)| *duration).sum();
    println!("{:<16} {:>7.1} s", "all passed", total.as_secs_f64());
}

/// The output of a step, which GitHub folds.
struct LogGroup {
    name: &'static str,
    start: Instant,
    on_github: bool,
}

impl LogGroup {
    fn open(name: &'static str) -> Self {
        let on_github = std::env::var_os("GITHUB_ACTIONS").is_some();
        println!("{}{name}", if on_github { "::group::" } else { "\n== " });
        Self {
            name,
            start: Instant::now(),
            on_github,
        }
    }
}

impl Drop for LogGroup {
    fn drop(&mut self) {
        if self.on_github {
            println!("::endgroup::");
        }
        let seconds = self.start.elapsed().as_secs_f64();
        println!("-- {}: {seconds:.1} s", self.name);
    }
}
