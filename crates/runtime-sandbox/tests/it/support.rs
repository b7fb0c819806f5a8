//! Commands for tests.

use runtime_sandbox::{Isolation, SandboxCommand, SandboxExit, StdStream};
use tokio::io::AsyncReadExt as _;

/// A shell script, with pipes for output and errors.
pub(crate) fn shell(script: &str, isolation: Isolation) -> SandboxCommand {
    SandboxCommand::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .stdout(StdStream::Pipe)
        .stderr(StdStream::Pipe)
        .isolation(isolation)
}

/// Runs a command to its end. Returns its exit and everything that it wrote.
pub(crate) async fn run(command: SandboxCommand) -> (SandboxExit, String) {
    let mut child = command.spawn().await.expect("the command starts");
    let mut output = Vec::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut stderr = child.stderr.take().expect("a pipe");
    stdout.read_to_end(&mut output).await.expect("output");
    stderr.read_to_end(&mut output).await.expect("errors");
    let exit = child.wait().await.expect("the command ends");
    (exit, String::from_utf8_lossy(&output).into_owned())
}
