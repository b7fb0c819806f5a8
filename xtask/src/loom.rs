//! `cargo xtask loom`: the loom models of the crates with hand-written synchronization.

use anyhow::Result;
use xshell::{Cmd, Shell};

use crate::workspace::{Package, Workspace, cargo};

/// The bound of preemptions in `cargo xtask ci`. Few faults need more, and the number of executions grows fast.
const CI_PREEMPTIONS: u32 = 3;

/// Runs the models whose name contains one of the filters, or all, with at most `preemptions` preemptions in an
/// execution.
pub(crate) fn run(sh: &Shell, filters: &[String], preemptions: Option<u32>) -> Result<()> {
    let bound = preemptions.map(|bound| sh.push_env("LOOM_MAX_PREEMPTIONS", bound.to_string()));
    // Unoptimized models take too long.
    let command = with_models(sh, "test")?.args(["--profile", "loom", "--lib", "--"]);
    let ran = command.args(filters).run();
    drop(bound);
    Ok(ran?)
}

/// Runs all models with a bound that keeps them short.
pub(crate) fn run_bounded(sh: &Shell) -> Result<()> {
    run(sh, &[], Some(CI_PREEMPTIONS))
}

/// Returns a cargo command on the packages that have models, with the models enabled.
///
/// The cfg is part of the flags of every crate. A separate target folder keeps it from invalidating the usual one.
fn with_models<'a>(sh: &'a Shell, subcommand: &str) -> Result<Cmd<'a>> {
    let workspace = Workspace::load(sh)?;
    let packages = workspace.libraries().filter(|package| has_models(package));
    let selected = packages.flat_map(|package| ["-p", &package.name]);
    let command = cargo(sh)
        .env("RUSTFLAGS", "--cfg runtime_loom")
        .arg(subcommand);
    Ok(command.args(["--target-dir", "target/loom"]).args(selected))
}

fn has_models(package: &Package) -> bool {
    let mut dependencies = package.dependencies.iter();
    dependencies.any(|dependency| dependency.name == "loom")
}
