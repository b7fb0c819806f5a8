//! All tests again, as an ordinary user.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::support::is_root;

const USER: u32 = 64_322;

#[test]
fn all_tests_pass_as_ordinary_user() {
    if !is_root() {
        return println!("skipped: runs as an ordinary user already");
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its mode");
    // Other users may not reach the folder of this program.
    let program = folder.path().join("it");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    let mut command = Command::new(program);
    let output = command
        .uid(USER)
        .gid(USER)
        .current_dir("/")
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
