//! `cargo xtask ci`: every check in turn, the quick ones first.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::Shell;

use crate::workspace::cargo;
use crate::{budget, docs, features, loom, tidy};

/// A named check.
struct Step {
    name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// In the order they run.
///
/// clippy, features and rustdoc share what `cargo check` makes of the dependencies. The tests come last: they take
/// longest, and the log ends with what cargo says about them.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        run: tidy::run,
    },
    Step {
        name: "budget",
        run: budget::run,
    },
    Step {
        name: "docs",
        run: |sh| docs::run(sh, false),
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "features",
        run: |sh| features::run(sh, &[]),
    },
    Step {
        name: "rustdoc",
        run: rustdoc,
    },
    Step {
        name: "loom",
        run: loom::check,
    },
    Step {
        name: "test",
        run: test,
    },
];

/// Runs the named steps, or all of them, until one fails.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    let steps = select(names)?;
    let mut durations = Vec::new();
    for step in steps {
        let _group = Group::open(step.name);
        let start = Instant::now();
        (step.run)(sh).with_context(|| failure(step.name))?;
        durations.push((step.name, start.elapsed()));
    }
    summarize(&durations);
    Ok(())
}

fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &String| match STEPS.iter().find(|step| step.name == name) {
        Some(step) => Ok(step),
        None => bail!(
            "no step `{name}`; known: {}",
            STEPS
                .iter()
                .map(|step| step.name)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    names.iter().map(find).collect()
}

fn failure(step: &str) -> String {
    format!("step `{step}` failed; repeat it with `cargo xtask ci {step}`")
}

fn fmt(sh: &Shell) -> Result<()> {
    Ok(cargo(sh).args(["fmt", "--all", "--check"]).run()?)
}

fn clippy(sh: &Shell) -> Result<()> {
    let scope = ["--locked", "--workspace", "--all-targets", "--all-features"];
    Ok(cargo(sh)
        .arg("clippy")
        .args(scope)
        .args(["--", "-D", "warnings"])
        .run()?)
}

fn rustdoc(sh: &Shell) -> Result<()> {
    let scope = ["--workspace", "--no-deps", "--all-features"];
    Ok(cargo(sh)
        .env("RUSTDOCFLAGS", "-D warnings")
        .arg("doc")
        .args(scope)
        .run()?)
}

fn test(sh: &Shell) -> Result<()> {
    Ok(cargo(sh)
        .args(["test", "--workspace", "--all-features"])
        .run()?)
}

fn summarize(durations: &[(&str, Duration)]) {
    println!();
    for (name, duration) in durations {
        println!("{name:<10} {:>7.1} s", duration.as_secs_f64());
    }
    let total: Duration = durations.iter().map(|(_, duration)| *duration).sum();
    println!("{:<10} {:>7.1} s", "all passed", total.as_secs_f64());
}

/// Headline of a step; on GitHub its output folds.
struct Group {
    name: &'static str,
    start: Instant,
    folds: bool,
}

impl Group {
    fn open(name: &'static str) -> Self {
        let folds = std::env::var_os("GITHUB_ACTIONS").is_some();
        println!("{}{name}", if folds { "::group::" } else { "\n== " });
        Self {
            name,
            start: Instant::now(),
            folds,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.folds {
            println!("::endgroup::");
        }
        println!(
            "-- {}: {:.1} s",
            self.name,
            self.start.elapsed().as_secs_f64()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_answered_with_the_known_ones() {
        let error = select(&["lint".to_owned()])
            .err()
            .expect("there is no such step");
        assert!(error.to_string().contains("clippy"), "{error}");
    }

    #[test]
    fn steps_run_in_the_order_they_were_asked_for() {
        let steps = select(&["test".to_owned(), "fmt".to_owned()]).expect("both are known");
        assert_eq!(
            steps.iter().map(|step| step.name).collect::<Vec<_>>(),
            ["test", "fmt"]
        );
    }
}
