//! Sandboxes with `pasta`, and compared with bubblewrap.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::e2e::missing;
use crate::workspace::cargo;

/// The programs, and the packages of Debian with them.
const PROGRAMS: [(&str, &str); 2] = [("pasta", "passt"), ("bwrap", "bubblewrap")];

/// Runs the tests of networks, and the attempts to escape in the walls of bubblewrap too, whose table it prints.
pub(super) fn run(sh: &Shell) -> Result<()> {
    for (program, package) in PROGRAMS {
        install(sh, program, package)?;
    }
    let test = |name: &'static str| {
        cargo(sh).args(["test", "-p", "runtime-sandbox", "--test", name, "--"])
    };
    test("it").args(["network", "--nocapture"]).run()?;
    Ok(test("escape").arg("--bwrap").run()?)
}

fn install(sh: &Shell, program: &str, package: &str) -> Result<()> {
    let exists = || {
        cmd!(sh, "sh -c")
            .arg(format!("command -v {program}"))
            .quiet()
            .ignore_stdout()
    };
    if exists().run().is_ok() {
        return Ok(());
    }
    // Fails for other users than root, and on other systems than Debian's.
    let install = cmd!(
        sh,
        "apt-get install --yes --no-install-recommends {package}"
    );
    install.run().map_err(|_| {
        missing(format!(
            "`{program}` of the package `{package}`; run as root to install it"
        ))
    })?;
    Ok(())
}
