//! Commands for tests.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_sandbox::{Isolation, SandboxChild, SandboxCommand, SandboxExit, StdStream};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// How long a test waits for something that happens at once.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// All presets.
pub(crate) fn presets() -> [Isolation; 3] {
    [Isolation::none(), Isolation::user(), Isolation::strict()]
}

/// A shell script, with pipes for output and errors.
pub(crate) fn shell(script: &str, isolation: Isolation) -> SandboxCommand {
    SandboxCommand::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", PATH)
        .stdout(StdStream::Pipe)
        .stderr(StdStream::Pipe)
        .isolation(isolation)
}

/// Fails a test that would otherwise wait for ever.
pub(crate) async fn limited<T>(work: impl Future<Output = T>) -> T {
    timeout(TIME_LIMIT, work)
        .await
        .expect("within the time limit")
}

/// Runs a command to its end. Returns its exit and everything that it wrote.
pub(crate) async fn run(command: SandboxCommand) -> (SandboxExit, String) {
    let mut child = command.spawn().await.expect("the command starts");
    let output = read_all(&mut child).await;
    let exit = limited(child.wait()).await.expect("the command ends");
    (exit, output)
}

/// Reads output and errors until the command closes them.
pub(crate) async fn read_all(child: &mut SandboxChild) -> String {
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut stderr = child.stderr.take().expect("a pipe");
    limited(stdout.read_to_end(&mut output))
        .await
        .expect("output");
    limited(stderr.read_to_end(&mut output))
        .await
        .expect("errors");
    String::from_utf8_lossy(&output).into_owned()
}

/// Waits until the command has written a line, and returns it.
pub(crate) async fn read_line(child: &mut SandboxChild) -> String {
    let stdout = child.stdout.as_mut().expect("a pipe");
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(limited(stdout.read_u8()).await.expect("a line"));
    }
    String::from_utf8_lossy(&line).trim().to_owned()
}

/// Polls until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + TIME_LIMIT;
    while !condition() {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// A file that processes of a test lock, to see when they have all ended.
pub(crate) struct Lock {
    folder: TempDir,
}

impl Lock {
    pub(crate) fn new() -> Self {
        let folder = open_folder();
        let path = folder.path().join("lock");
        fs::write(&path, "").expect("a file");
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("its mode");
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("lock")
    }

    /// Returns whether a process holds the lock.
    pub(crate) fn is_held(&self) -> bool {
        let file = File::open(self.path()).expect("the file");
        file.try_lock().is_err()
    }
}

/// Creates a folder that each user may change.
pub(crate) fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("its mode");
    folder
}
