//! The development server, killed 200 times under load.

use anyhow::Result;
use xshell::Shell;

use crate::e2e::ignored_tests;

/// Runs the long form of the crash test.
pub(super) fn run(sh: &Shell) -> Result<()> {
    ignored_tests(sh, "crash_200_times", &[])
}
