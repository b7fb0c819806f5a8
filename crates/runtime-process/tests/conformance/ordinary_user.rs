//! The suite as an ordinary user, if this one may become another.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// The arguments of `setpriv` before the program.
const USER: [&str; 4] = [
    "--reuid=54321",
    "--regid=54321",
    "--clear-groups",
    "--inh-caps=-all",
];

#[test]
fn ordinary_user_keeps_the_contract() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the other tests run as an ordinary user");
        return;
    }
    // This program may be in a folder that only root can enter.
    let folder = tempfile::tempdir().expect("a folder for the test");
    let readable = Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), readable).expect("a folder of the test");
    let this = std::env::current_exe().expect("this program has a path");
    let copy = folder.path().join("conformance");
    fs::copy(this, &copy).expect("a disk with room");
    let mut command = Command::new("setpriv");
    command.args(USER).arg(copy).current_dir(folder.path());
    let output = match command.args(["processes::", "commands::"]).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("skipped: needs `setpriv`");
            return;
        }
        output => output.expect("`setpriv` starts"),
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(" 0 passed"), "{text}");
}
