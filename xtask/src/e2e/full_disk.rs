//! A task log and a worker on a full file system.

use anyhow::{Context, Result};
use xshell::Shell;

use crate::e2e::server::{self, Program};
use crate::e2e::{ignored_tests, missing};
use crate::tools;

const MOUNT_POINT: &str = "target/e2e/full-disk";

/// Runs an example on a disk of 256 KiB, and tests of the worker on a disk of 4 MiB each.
pub(super) fn run(sh: &Shell) -> Result<()> {
    sh.create_dir(MOUNT_POINT)?;
    let mount_point = sh.current_dir().join(MOUNT_POINT);
    let mount_point = mount_point
        .to_str()
        .context("the path of the project is not UTF-8")?;
    let [unshare, arguments @ ..] = mounted(mount_point, "256k");
    let on_disk = || sh.cmd(unshare).args(arguments);
    if !tools::succeeds(on_disk().arg("true")) {
        return Err(missing(
            "this user cannot mount a file system in a user namespace",
        ));
    }
    let example = server::build(sh, Program::Example("full_disk"), &[])?;
    on_disk().arg(example).arg(mount_point).run()?;
    let _small_disk = sh.push_env("RUNTIME_WORKER_SMALL_DISK", mount_point);
    // One disk each: both fill it.
    for test in [
        "disk::real_full_disk_fails_no_task",
        "disk::log_on_a_real_full_disk_says_so",
    ] {
        ignored_tests(sh, test, &mounted(mount_point, "4m"))?;
    }
    Ok(())
}

/// Returns the start of a command line that runs the rest of its arguments with a small disk at the mount point.
///
/// A user and a mount namespace make root rights unnecessary, and the mount ends with the command.
fn mounted<'a>(mount_point: &'a str, size: &'a str) -> [&'a str; 10] {
    let mount = r#"mount -t tmpfs -o "size=$1" tmpfs "$0" && shift && exec "$@""#;
    [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--",
        "sh",
        "-c",
        mount,
        mount_point,
        size,
    ]
}
