//! `cargo xtask e2e`: checks with third-party programs, which are skipped if the machine lacks one.

mod browser;
mod container;
mod crash;
mod full_disk;
mod metrics;
mod oom;
mod python;
mod sandbox;
mod scriptworker;
pub(crate) mod server;
mod taskcluster;
mod webhook;

use std::fmt;

use anyhow::{Context, Error, Result};
use xshell::Shell;

use crate::by_name;
use crate::workspace::cargo;

/// The error of a check on a machine that lacks a requirement; states how to get it. The check counts as skipped.
#[derive(Debug)]
struct MissingRequirement(String);

impl fmt::Display for MissingRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for MissingRequirement {}

fn missing(requirement: impl Into<String>) -> Error {
    Error::new(MissingRequirement(requirement.into()))
}

/// Prints that a check was skipped if its error is a missing requirement, otherwise returns the error.
fn skip(check: &str, error: Error) -> Result<()> {
    let MissingRequirement(reason) = error.downcast()?;
    println!("{check}: SKIPPED: {reason}");
    Ok(())
}

/// Runs the ignored integration tests whose name contains the filter.
///
/// Builds the whole workspace, as `cargo xtask ci test` does, so that nothing is built again.
///
/// `wrapper` is the start of a command line that prepares the environment and runs the rest of its arguments. It starts the
/// test program only: cargo and the compiler run outside of its limits.
fn ignored_tests(sh: &Shell, filter: &str, wrapper: &[&str]) -> Result<()> {
    // A JSON array of strings is a TOML array as well.
    let runner = serde_json::to_string(wrapper)?;
    let tests = ["test", "--workspace", "--all-features", "--test", "it"];
    let test = cargo(sh).args(tests);
    let test = test.args([
        "--config",
        &format!("target.'cfg(all())'.runner = {runner}"),
    ]);
    Ok(test.args(["--quiet", "--", "--ignored", filter]).run()?)
}

struct Check {
    name: &'static str,
    description: &'static str,
    run: fn(&Shell) -> Result<()>,
}

const CHECKS: &[Check] = &[
    Check {
        name: "browser",
        description: "web pages in headless Chromium",
        run: browser::run,
    },
    Check {
        name: "container",
        description: "the steps of the guide's Containerfile, and the configuration of its manifest",
        run: container::run,
    },
    Check {
        name: "crash",
        description: "the development server, killed 200 times under load",
        run: crash::run,
    },
    Check {
        name: "full-disk",
        description: "a task log and a worker on a full file system",
        run: full_disk::run,
    },
    Check {
        name: "metrics",
        description: "metrics of a worker, read by Prometheus's Python client",
        run: metrics::run,
    },
    Check {
        name: "oom",
        description: "100 tasks killed by the kernel because their memory is exhausted",
        run: oom::run,
    },
    Check {
        name: "sandbox",
        description: "sandboxes with pasta, and attempts to escape compared with bubblewrap",
        run: sandbox::run,
    },
    Check {
        name: "scriptworker",
        description: "no-op tasks per second, compared with scriptworker from PyPI",
        run: scriptworker::run,
    },
    Check {
        name: "taskcluster",
        description: "the embedded Taskcluster, used by the official Python client",
        run: taskcluster::run,
    },
    Check {
        name: "webhook",
        description: "hooks, used by curl, openssl and Python's websockets",
        run: webhook::run,
    },
];

/// Runs the checks that need nothing but the kernel.
pub(crate) fn run_local(sh: &Shell) -> Result<()> {
    run(sh, &["full-disk", "oom"].map(String::from), false)
}

/// Runs the named checks, or lists all checks. With `write`, the pictures of `browser` replace those of the docs.
pub(crate) fn run(sh: &Shell, names: &[String], write: bool) -> Result<()> {
    if names.is_empty() {
        for check in CHECKS {
            println!("{:<16} {}", check.name, check.description);
        }
    }
    for check in by_name::select("check", CHECKS, |check| check.name, names)? {
        let name = check.name;
        match (check.run)(sh) {
            Ok(()) => println!("{name}: passed"),
            Err(error) => skip(name, error).with_context(|| format!("check `{name}` failed"))?,
        }
    }
    if write {
        browser::write_pictures(sh)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_requirements_are_skipped() {
        assert!(skip("a", missing("no curl")).is_ok());
        let wrapped = Err::<(), _>(missing("no curl")).context("in a step");
        assert!(skip("a", wrapped.expect_err("an error")).is_ok());
        assert!(skip("a", anyhow::anyhow!("wrong")).is_err());
    }

    #[test]
    fn modules_have_ignored_tests() {
        for module in [
            "runtime-app/tests/it/dev_server/crash.rs",
            "runtime-worker/tests/it/disk.rs",
            "runtime-process/tests/it/cgroups.rs",
            "runtime-process/tests/it/oom_kills.rs",
        ] {
            let path = crate::workspace::root().join("crates").join(module);
            let source = std::fs::read_to_string(path).expect("the module exists");
            assert!(source.contains("#[ignore"), "{module}");
        }
    }
}
