//! The log of a task on a file system that is really full.

use std::path::Path;

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

use super::{Outcome, server};

const FOLDER: &str = "target/e2e/full-disk";

/// Runs the example on a disk of 256 KiB. It checks by itself what everybody sees.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    sh.create_dir(FOLDER)?;
    let try_it = mounted(sh).arg("true").quiet();
    if try_it.ignore_stdout().ignore_stderr().run().is_err() {
        let reason = "this user cannot mount a file system, not even in a namespace of its own";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    let example = server::build(sh, "runtime-core", "full_disk", &[])?;
    mounted(sh).arg(example).arg(Path::new(FOLDER)).run()?;
    Ok(Outcome::Passed)
}

/// Begins a command that sees a small disk at the folder: in namespaces of its own, so that this needs no
/// rights and leaves nothing mounted.
fn mounted(sh: &Shell) -> Cmd<'_> {
    let mount = r#"mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@""#;
    cmd!(
        sh,
        "unshare --user --map-root-user --mount -- sh -c {mount} {FOLDER}"
    )
}
