//! Resource limits.

use std::os::unix::process::ExitStatusExt as _;

use runtime_sandbox::{Isolation, Limits, SpawnError, SpawnStep};

use crate::support::{presets, run, shell};

#[tokio::test]
async fn limits_are_set() {
    for isolation in presets() {
        let limits = Limits::new()
            .open_files(77)
            .file_size(512 * 100)
            .address_space(1 << 30);
        let script = "ulimit -n; ulimit -f; ulimit -v; ulimit -c";
        let (_, output) = run(shell(script, isolation).limits(limits)).await;
        assert_eq!(output, "77\n100\n1048576\n0\n");
    }
}

#[tokio::test]
async fn large_file_ends_the_command() {
    let limits = Limits::new().file_size(4096);
    let script = "exec head -c 10000 /dev/zero >/tmp/file";
    let (exit, _) = run(shell(script, Isolation::strict()).limits(limits)).await;
    assert_eq!(exit.status.signal(), Some(libc::SIGXFSZ));
}

#[tokio::test]
async fn impossible_limit_is_an_error() {
    // Above the largest number of open files that the kernel ever allows.
    let limits = Limits::new().open_files(u64::MAX - 1);
    let error = shell("true", Isolation::strict())
        .limits(limits)
        .spawn()
        .await;
    match error {
        Err(SpawnError::Step { step, .. }) => assert_eq!(step, SpawnStep::Limit),
        other => panic!("{other:?}"),
    }
}
