//! Optional programs that some tasks need.

use anyhow::{Result, ensure};
use xshell::{Cmd, Shell, cmd};

/// Returns whether a command exists and succeeds, such as `mdbook --version`.
pub(crate) fn succeeds(command: Cmd<'_>) -> bool {
    let silent = command.quiet().ignore_stdout().ignore_stderr();
    silent.run().is_ok()
}

/// Returns whether the subcommand `cargo NAME` is installed.
pub(crate) fn has_subcommand(sh: &Shell, name: &str) -> bool {
    succeeds(cmd!(sh, "cargo {name} --version"))
}

/// Fails with the command that installs `cargo NAME` if it is missing.
pub(crate) fn require_subcommand(sh: &Shell, name: &str) -> Result<()> {
    ensure!(
        has_subcommand(sh, name),
        "cargo-{name} is not installed; run `cargo install --locked cargo-{name}`"
    );
    Ok(())
}
