//! Python environments with packages from PyPI.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::e2e::missing;
use crate::e2e::server::Server;
use crate::tools;

/// Creates a virtual environment with the packages and returns its interpreter.
///
/// An existing environment is reused, without network access.
pub(super) fn with_packages(sh: &Shell, folder: &str, packages: &[&str]) -> Result<PathBuf> {
    let python = interpreter(Path::new(folder));
    let show = cmd!(sh, "{python} -m pip show --quiet {packages...}");
    if !python.exists() || !tools::succeeds(show) {
        install(sh, folder, packages)?;
    }
    // Prints the tested versions, since pip installs the newest ones.
    let list = cmd!(sh, "{python} -m pip list --disable-pip-version-check");
    let list = list.quiet().ignore_stderr().read()?;
    let is_requested = |line: &&str| packages.iter().any(|name| line.starts_with(name));
    for line in list.lines().filter(is_requested) {
        println!("PyPI package: {line}");
    }
    Ok(python)
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}

fn install(sh: &Shell, folder: &str, packages: &[&str]) -> Result<()> {
    let system = if cfg!(windows) { "python" } else { "python3" };
    cmd!(sh, "{system} -m venv {folder}")
        .run()
        .map_err(|error| missing(format!("Python with venv ({error})")))?;
    let python = interpreter(Path::new(folder));
    let install = cmd!(
        sh,
        "{python} -m pip install --quiet --disable-pip-version-check {packages...}"
    );
    install.run().map_err(|error| {
        let packages = packages.join(", ");
        missing(format!("cannot install {packages} from PyPI ({error})"))
    })
}

/// Runs a script in `xtask/e2e` with the exports of a server as environment variables.
pub(super) fn run(sh: &Shell, python: &Path, script: &str, server: &Server) -> Result<()> {
    let script = format!("xtask/e2e/{script}");
    // `-B`: no compiled files next to the sources.
    let run = cmd!(sh, "{python} -B {script}").envs(server.exports.clone());
    Ok(run.run()?)
}
