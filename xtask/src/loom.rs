//! `cargo xtask loom`: the models of the crates that synchronize by hand.

use anyhow::Result;
use xshell::{Cmd, Shell};

use crate::workspace::{Package, Workspace, cargo};

/// Runs the models whose name contains one of the filters, or all.
pub(crate) fn run(sh: &Shell, filters: &[String]) -> Result<()> {
    // Models take too long without optimization.
    let command = with_models(sh, "test")?.args(["--release", "--lib", "--"]);
    Ok(command.args(filters).run()?)
}

/// Compiles the models, so that they do not rot between the runs.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let command = with_models(sh, "check")?.args(["--profile", "test", "--lib"]);
    Ok(command.run()?)
}

/// Begins a cargo command on the packages that have models, with the models turned on.
///
/// The cfg is part of the flags of every crate, hence a target folder apart: the usual one stays as it is.
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
    package
        .dependencies
        .iter()
        .any(|dependency| dependency.name == "loom")
}
