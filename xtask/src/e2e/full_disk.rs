//! A task log and a worker on a full file system.

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

use crate::e2e::{ignored_tests, missing, server};
use crate::tools;

const MOUNT_POINT: &str = "target/e2e/full-disk";

/// Runs an example on a disk of 256 KiB, and tests of the worker on a disk of 4 MiB each.
pub(super) fn run(sh: &Shell) -> Result<()> {
    sh.create_dir(MOUNT_POINT)?;
    if !tools::succeeds(mounted(sh, "256k").arg("true")) {
        return Err(missing(
            "this user cannot mount a file system in a user namespace",
        ));
    }
    let example = server::build(sh, "full_disk", &[])?;
    mounted(sh, "256k").arg(example).arg(MOUNT_POINT).run()?;
    let mount_point = sh.current_dir().join(MOUNT_POINT);
    // One disk each: both fill it.
    for test in [
        "disk::real_full_disk_fails_no_task",
        "disk::log_on_a_real_full_disk_says_so",
    ] {
        let wrapper = mounted(sh, "4m").env("RUNTIME_WORKER_SMALL_DISK", &mount_point);
        ignored_tests(sh, "runtime-worker", test, wrapper)?;
    }
    Ok(())
}

/// Returns the start of a command line that runs the rest of its arguments with a small disk at the mount point.
///
/// A user and a mount namespace make root rights unnecessary, and the mount ends with the command.
fn mounted<'a>(sh: &'a Shell, size: &str) -> Cmd<'a> {
    let mount = r#"mount -t tmpfs -o "size=$1" tmpfs "$0" && shift && exec "$@""#;
    cmd!(
        sh,
        "unshare --user --map-root-user --mount -- sh -c {mount} {MOUNT_POINT} {size}"
    )
}
