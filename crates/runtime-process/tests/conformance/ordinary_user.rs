//! The suite as an ordinary user, if this one may become another.

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
    let this = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new("setpriv");
    command.args(USER).arg(this);
    let output = command.args(["processes::", "commands::"]).output();
    let output = output.expect("`setpriv` starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(" 0 passed"), "{text}");
}
