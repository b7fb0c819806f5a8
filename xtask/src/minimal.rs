//! `cargo xtask minimal-versions`: the libraries compile with the oldest dependencies that the manifests allow.
//!
//! Only direct dependencies are taken at their oldest. What they bring themselves is as new as ever: its lower bounds
//! are the business of others, and many of them are wrong.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::workspace::{Workspace, cargo};

/// A copy of the repository, so that its own `Cargo.lock` stays as it is.
const COPY: &str = "target/minimal-versions";

/// Copies, resolves anew and checks.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    copy(sh)?;
    let target = sh.current_dir().join("target/minimal-versions-target");
    let _folder = sh.push_dir(COPY);
    // The flag is unstable; a stable cargo takes it when it is told to.
    let resolve = cargo(sh).args(["update", "-Z", "direct-minimal-versions"]);
    resolve.env("RUSTC_BOOTSTRAP", "1").run().context(
        "a dependency needs a newer version of another one than the root manifest asks for: raise that",
    )?;
    let workspace = Workspace::load(sh)?;
    let libraries = workspace
        .libraries()
        .flat_map(|library| ["-p", &library.name]);
    let check = cargo(sh)
        .args(["check", "--locked", "--lib", "--all-features"])
        .args(libraries);
    check.env("CARGO_TARGET_DIR", target).run().context(
        "a dependency is too old at the version that the root manifest asks for: raise that",
    )
}

/// Everything that is not ignored. What is there from the last time is replaced, and its target folder kept.
fn copy(sh: &Shell) -> Result<()> {
    sh.remove_path(COPY)?;
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard")
        .quiet()
        .read()?;
    for file in files.lines().filter(|file| Path::new(file).exists()) {
        let copy = Path::new(COPY).join(file);
        sh.create_dir(copy.parent().unwrap_or(Path::new(COPY)))?;
        sh.copy_file(file, copy)?;
    }
    Ok(())
}
