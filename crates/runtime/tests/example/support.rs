//! The example worker as a program, and what tests do to it.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
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

/// Runs a worker to its end, and gives what it wrote to both outputs.
pub(crate) fn run(command: &mut Command) -> (Output, String) {
    let mut worker = Worker::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stdout = read_beside(worker.take_output());
    let stderr = read_beside(worker.child.stderr.take().expect("it is a pipe"));
    let output = Output {
        status: worker.ended(),
        stdout: stdout.join().expect("it reads"),
        stderr: stderr.join().expect("it reads"),
    };
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8(text).expect("it writes text"))
}

fn read_beside(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("it is open");
        bytes
    })
}

/// How long a worker has for what takes it a moment. A test that hangs tells less than one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The example, which runs. It is killed when this is dropped.
pub(crate) struct Worker {
    child: Child,
    /// The lines of its output, from the first wait for one on.
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
        self.child.stdin.take().expect("its input is a pipe")
    }

    pub(crate) fn take_output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("its output is a pipe")
    }

    /// Lets nobody read what it says to standard error.
    pub(crate) fn close_errors(&mut self) {
        drop(self.child.stderr.take());
    }

    /// Reads its lines until one contains `part`, and gives all of them.
    pub(crate) fn read_until(&mut self, part: &str) -> Vec<String> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => lines_of(self.take_output()),
        };
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(part)) {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("it does not say `{part}` ({error}): {seen:#?}"),
            }
        }
        self.lines = Some(lines);
        seen
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.expect("there is a `kill`").success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.ended_after(|_| std::thread::park_timeout(Duration::from_millis(5)))
    }

    /// The same with what it wrote to standard error.
    pub(crate) fn ended_with_errors(&mut self) -> (ExitStatus, String) {
        let errors = read_beside(self.child.stderr.take().expect("it is a pipe"));
        let status = self.ended();
        let errors = errors.join().expect("it reads");
        (status, String::from_utf8(errors).expect("it writes text"))
    }

    /// Sends the second signal, which must not come before the first was handled: both would count as one.
    pub(crate) fn signal_until_ended(&mut self) -> ExitStatus {
        self.ended_after(|worker| {
            std::thread::yield_now();
            worker.signal("-TERM");
        })
    }

    fn ended_after(&mut self, pause: impl Fn(&Self)) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it goes on");
            pause(self);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            // Nobody may wait for a line any more, but the worker goes on to write.
            let _ = sender.send(line.expect("it writes text"));
        }
    });
    lines
}

/// Reads a URL until a line with a text comes.
pub(crate) fn follow(url: &str, text: &str) {
    let rest = url.strip_prefix("http://").expect("an HTTP URL");
    let (address, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let came = BufReader::new(stream).lines();
    let mut came = came.map(|line| line.expect("it goes on, and is text"));
    assert!(came.any(|line| line.contains(text)), "{text} did not come");
}
