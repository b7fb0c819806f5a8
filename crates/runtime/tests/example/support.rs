//! Starts, reads and stops the example worker as a program.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Returns a command for the example, which `cargo test` builds together with the tests.
pub(crate) fn worker(folder: &Path) -> Command {
    let tests = std::env::current_exe().expect("this program has a path");
    let target = tests
        .ancestors()
        .nth(2)
        .expect("tests are in the folder `deps` of the profile");
    let path = target.join("examples/worker");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --example worker`",
        path.display()
    );
    let mut command = Command::new(path);
    // Lets a test find files that the worker fails to remove.
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

/// Runs a worker to its end. Returns its output, and the text of both streams.
pub(crate) fn run(command: &mut Command) -> (Output, String) {
    let mut worker = Worker::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stdout = read_in_background(worker.take_output());
    let stderr = read_in_background(worker.child.stderr.take().expect("a pipe"));
    let output = Output {
        status: worker.ended(),
        stdout: stdout.join().expect("readable"),
        stderr: stderr.join().expect("readable"),
    };
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).expect("text"))
}

fn read_in_background(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("readable");
        bytes
    })
}

/// The timeout of each wait, so that a hanging worker fails the test.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A running example. It is killed on drop.
pub(crate) struct Worker {
    child: Child,
    /// The remaining lines of its standard output, once a test has waited for one.
    lines: Option<Receiver<String>>,
}

impl Worker {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self {
            child: command.spawn().expect("the example starts"),
            lines: None,
        }
    }

    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    pub(crate) fn take_output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("a pipe")
    }

    /// Closes the reading end of standard error.
    pub(crate) fn close_errors(&mut self) {
        drop(self.child.stderr.take());
    }

    /// Reads lines until one contains `part`. Returns all lines that were read.
    pub(crate) fn read_until(&mut self, part: &str) -> Vec<String> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => lines_of(self.take_output()),
        };
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(part)) {
            match lines.recv_timeout(TIMEOUT) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line with `{part}` ({error}): {seen:#?}"),
            }
        }
        self.lines = Some(lines);
        seen
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.expect("`kill` exists").success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.ended_after(|_| std::thread::park_timeout(Duration::from_millis(5)))
    }

    /// Waits for its end. Also returns the text of standard error.
    pub(crate) fn ended_with_errors(&mut self) -> (ExitStatus, String) {
        let errors = read_in_background(self.child.stderr.take().expect("a pipe"));
        let status = self.ended();
        let errors = errors.join().expect("readable");
        (status, String::from_utf8(errors).expect("text"))
    }

    /// Repeats the second signal until the worker ends. The kernel merges it with the first one while that is
    /// pending, so sending it once is not sufficient.
    pub(crate) fn signal_until_ended(&mut self) -> ExitStatus {
        self.ended_after(|worker| {
            std::thread::yield_now();
            worker.signal("-TERM");
        })
    }

    fn ended_after(&mut self, pause: impl Fn(&Self)) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                return status;
            }
            assert!(start.elapsed() < TIMEOUT, "the worker still runs");
            pause(self);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            // Fails if the test waits for no further line. The worker must still be able to write.
            let _ = sender.send(line.expect("text"));
        }
    });
    lines
}

/// Reads a URL repeatedly until its content contains `text`.
pub(crate) fn wait_for_text(url: &str, text: &str) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a path");
    let start = Instant::now();
    loop {
        let mut stream = TcpStream::connect(address).expect("a listening server");
        let head = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("writable");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        if answer.contains(text) {
            return;
        }
        assert!(start.elapsed() < TIMEOUT, "no {text} in {answer}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Reads a URL until a line contains `text`.
pub(crate) fn follow(url: &str, text: &str) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(address).expect("a listening server");
    stream
        .set_read_timeout(Some(TIMEOUT))
        .expect("a valid timeout");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("readable");
    let lines = BufReader::new(stream).lines();
    let mut lines = lines.map(|line| line.expect("text before the timeout"));
    assert!(lines.any(|line| line.contains(text)), "no line with {text}");
}
