//! The example worker as a program, and what tests do to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The example, which `cargo test` builds beside the tests.
pub(crate) fn worker(folder: &Path) -> Command {
    let tests = std::env::current_exe().expect("this program has a path");
    let target = tests
        .ancestors()
        .nth(2)
        .expect("tests are in `deps` of the target folder");
    let path = target.join("examples/worker");
    assert!(
        path.is_file(),
        "`cargo build --example worker` first: {} is missing",
        path.display()
    );
    let mut command = Command::new(path);
    // What the worker leaves would be in its temporary folder.
    command.env("TMPDIR", folder).stdin(Stdio::null());
    for name in ["ROOT_URL", "CLIENT_ID", "ACCESS_TOKEN", "CERTIFICATE"] {
        command.env_remove(format!("TASKCLUSTER_{name}"));
    }
    command
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

pub(crate) fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the folder is ours");
    path
}

pub(crate) fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("the example starts");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).expect("it writes text"))
}

/// Reads lines of a child until one contains `part`, and gives all of them.
pub(crate) fn read_until(child: &mut Child, part: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let stdout = child.stdout.as_mut().expect("its output is a pipe");
    // A larger buffer would swallow lines that the next call waits for.
    for line in BufReader::with_capacity(1, stdout).lines() {
        lines.push(line.expect("it writes text"));
        if lines.last().is_some_and(|line| line.contains(part)) {
            return lines;
        }
    }
    panic!("it ended without `{part}`: {lines:#?}");
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.expect("there is a `kill`").success());
}

/// Sends the second signal, which must not come before the first was handled: both would count as one.
pub(crate) fn signal_until_ended(child: &mut Child) -> ExitStatus {
    let patience = Instant::now() + Duration::from_secs(60);
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        std::thread::yield_now();
        signal(child, "-TERM");
    }
    child.kill().expect("it is our child");
    panic!("it goes on after its second signal");
}

/// Reads a URL until a text comes.
pub(crate) fn follow(url: &str, text: &str) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(address).expect("it accepts");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).expect("it goes on");
        assert!(count > 0, "only {:?} came", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
}
