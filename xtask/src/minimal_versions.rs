//! `cargo xtask minimal-versions`: the libraries compile with the oldest dependencies that the manifests allow.
//!
//! Only direct dependencies are resolved to their oldest version. The lower bounds in the manifests of other crates are
//! often wrong, and this workspace cannot fix them.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::workspace::{Workspace, cargo};

/// The copy of the repository in which dependencies are resolved, so that `Cargo.lock` of the original is unchanged.
const COPY_DIR: &str = "target/minimal-versions";

/// Copies the repository, resolves its dependencies to the oldest versions and checks the libraries.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    copy(sh)?;
    let target = sh.current_dir().join("target/minimal-versions-target");
    let _folder = sh.push_dir(COPY_DIR);
    // The flag is unstable; the variable allows it on a stable cargo.
    let resolve = cargo(sh).args(["update", "-Z", "direct-minimal-versions"]);
    resolve.env("RUSTC_BOOTSTRAP", "1").run().context(
        "a dependency requires a newer version of another one than the root manifest: raise the version there",
    )?;
    let workspace = Workspace::load(sh)?;
    let libraries = workspace.libraries();
    let check = cargo(sh)
        .args(["check", "--locked", "--lib", "--all-features"])
        .args(libraries.flat_map(|library| ["-p", &library.name]));
    check.env("CARGO_TARGET_DIR", target).run().context(
        "a dependency is too old at the version in the root manifest: raise the version there",
    )
}

/// Copies all files that git does not ignore. The target folder of an earlier run is outside the copy and kept.
fn copy(sh: &Shell) -> Result<()> {
    sh.remove_path(COPY_DIR)?;
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard")
        .quiet()
        .read()?;
    for file in files.lines().filter(|file| Path::new(file).exists()) {
        let copy = Path::new(COPY_DIR).join(file);
        sh.create_dir(copy.parent().unwrap_or(Path::new(COPY_DIR)))?;
        sh.copy_file(file, copy)?;
    }
    Ok(())
}
