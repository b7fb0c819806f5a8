//! A Python of our own with packages from PyPI, below `target`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

/// Makes a virtual environment with the packages and returns its interpreter, or says why it cannot.
///
/// An environment that is there already is used again, and needs no network.
pub(super) fn with_packages(
    sh: &Shell,
    folder: &Path,
    packages: &[&str],
) -> Result<Result<PathBuf, String>> {
    let python = interpreter(folder);
    if !has_packages(sh, &python, packages)
        && let Err(reason) = install(sh, folder, packages)
    {
        return Ok(Err(reason));
    }
    let listing = cmd!(sh, "{python} -m pip list --disable-pip-version-check")
        .quiet()
        .ignore_stderr()
        .read()?;
    for line in listing
        .lines()
        .filter(|line| packages.iter().any(|package| line.starts_with(package)))
    {
        println!("PyPI package: {line}");
    }
    Ok(Ok(python))
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}

fn has_packages(sh: &Shell, python: &Path, packages: &[&str]) -> bool {
    python.exists()
        && cmd!(sh, "{python} -m pip show --quiet {packages...}")
            .quiet()
            .ignore_stderr()
            .run()
            .is_ok()
}

fn install(sh: &Shell, folder: &Path, packages: &[&str]) -> Result<(), String> {
    let system = if cfg!(windows) { "python" } else { "python3" };
    cmd!(sh, "{system} -m venv {folder}")
        .run()
        .map_err(|error| format!("no Python with venv here ({error})"))?;
    let python = interpreter(folder);
    let install = cmd!(
        sh,
        "{python} -m pip install --quiet --disable-pip-version-check {packages...}"
    );
    install
        .run()
        .map_err(|error| format!("cannot install {} from PyPI ({error})", packages.join(", ")))
}
