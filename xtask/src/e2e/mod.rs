//! `cargo xtask e2e`: checks with programs of others, which a machine may lack.

mod browser;
mod full_disk;
mod metrics;
mod oom;
mod python;
mod scriptworker;
pub(crate) mod server;
mod taskcluster;
mod webhook;

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell};

use crate::workspace::cargo;

/// How a script ended, if not by an error.
enum Outcome {
    Passed,
    /// Something that it needs is missing: what, and how to get it.
    Skipped(String),
}

/// Runs an ignored integration test of a package. `place` is the start of the command line, which sets up the
/// environment that the test needs; cargo's arguments follow it.
fn ignored_test<'a>(sh: &'a Shell, package: &str, test: &str, place: Cmd<'a>) -> Result<()> {
    let program = ["test", "-p", package, "--all-features", "--test", "it"];
    cargo(sh).args(program).arg("--no-run").run()?;
    let run = place.arg("cargo").args(program);
    Ok(run.args(["--", "--ignored", "--exact", test]).run()?)
}

/// A check by name.
struct Script {
    name: &'static str,
    what: &'static str,
    run: fn(&Shell) -> Result<Outcome>,
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "browser",
        what: "our pages work in headless Chromium",
        run: browser::run,
    },
    Script {
        name: "full-disk",
        what: "a task's log, and a worker, on a file system that is full",
        run: full_disk::run,
    },
    Script {
        name: "metrics",
        what: "Prometheus's own Python client reads a worker's metrics",
        run: metrics::run,
    },
    Script {
        name: "oom",
        what: "a task that the kernel kills because its memory runs out",
        run: oom::run,
    },
    Script {
        name: "scriptworker",
        what: "no-op tasks a second, ours against scriptworker from PyPI",
        run: scriptworker::run,
    },
    Script {
        name: "taskcluster",
        what: "the official Python client drives the embedded Taskcluster",
        run: taskcluster::run,
    },
    Script {
        name: "webhook",
        what: "curl, openssl and Python's websockets reach hooks",
        run: webhook::run,
    },
];

/// Runs the named scripts, or lists what there is.
pub(crate) fn run(sh: &Shell, names: &[String]) -> Result<()> {
    if names.is_empty() {
        SCRIPTS
            .iter()
            .for_each(|script| println!("{:<16} {}", script.name, script.what));
    }
    for name in names {
        let Some(script) = SCRIPTS.iter().find(|script| script.name == name) else {
            bail!("no e2e check `{name}`; `cargo xtask e2e` lists them");
        };
        match (script.run)(sh).with_context(|| format!("e2e check `{name}` failed"))? {
            Outcome::Passed => println!("{name}: passed"),
            Outcome::Skipped(reason) => println!("{name}: SKIPPED, nothing was checked: {reason}"),
        }
    }
    Ok(())
}
