//! A task's log, and a worker, on a file system that is really full.

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

use super::{Outcome, ignored_test, server};

const FOLDER: &str = "target/e2e/full-disk";

/// Runs an example on a disk of 256 KiB, and a test of the worker on one of 4 MiB. They check by themselves.
pub(super) fn run(sh: &Shell) -> Result<Outcome> {
    sh.create_dir(FOLDER)?;
    let try_it = mounted(sh, "256k").arg("true").quiet();
    if try_it.ignore_stdout().ignore_stderr().run().is_err() {
        let reason = "this user cannot mount a file system, not even in a namespace of its own";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    let example = server::build(sh, "runtime-core", "full_disk", &[])?;
    mounted(sh, "256k").arg(example).arg(FOLDER).run()?;
    worker(sh)?;
    Ok(Outcome::Passed)
}

fn worker(sh: &Shell) -> Result<()> {
    const TEST: &str = "disk::real_full_disk_fails_no_task";
    let folder = sh.current_dir().join(FOLDER);
    let place = mounted(sh, "4m").env("RUNTIME_WORKER_SMALL_DISK", folder);
    ignored_test(sh, "runtime-worker", TEST, place)
}

/// Begins a command that sees a small disk at the folder: in namespaces of its own, so that this needs no
/// rights and leaves nothing mounted.
fn mounted<'a>(sh: &'a Shell, size: &str) -> Cmd<'a> {
    let mount = r#"mount -t tmpfs -o "size=$1" tmpfs "$0" && shift && exec "$@""#;
    cmd!(
        sh,
        "unshare --user --map-root-user --mount -- sh -c {mount} {FOLDER} {size}"
    )
}
