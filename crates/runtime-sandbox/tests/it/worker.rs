//! Workers as separate processes: one that dies, and ones inside of a sandbox.

use std::env;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use runtime_sandbox::{FileView, Isolation, SandboxCommand, StdStream};
use tokio::io::AsyncReadExt as _;

use crate::support::{Lock, eventually, presets, shell};

/// The variable with the role of this program as a worker.
pub(crate) const ROLE: &str = "SANDBOX_TEST_ROLE";

/// The variable with a folder of the test.
const FOLDER: &str = "SANDBOX_TEST_FOLDER";

/// The arguments of this program that run only [`role`].
pub(crate) fn arguments() -> [&'static str; 3] {
    ["worker::role", "--exact", "--nocapture"]
}

/// Plays the role of the environment, which other tests start.
#[tokio::test]
async fn role() {
    match env::var(ROLE).as_deref() {
        Ok("strict") => {
            let error = shell("true", Isolation::strict()).spawn().await;
            println!("role: {}", error.expect_err("a sandbox in a sandbox"));
        }
        Ok("best effort") => {
            let command = shell("exit 3", Isolation::strict().best_effort());
            match command.spawn().await {
                Ok(mut child) => {
                    let code = child.wait().await.expect("it ends").status.code();
                    println!(
                        "role: missing {:?}, exit code {code:?}",
                        child.missing_walls()
                    );
                }
                Err(error) => println!("role: {error} {:?}", error.source()),
            }
        }
        Ok(preset) => hold_a_lock(presets()[preset.parse::<usize>().unwrap_or(0)].clone()).await,
        Err(_) => {}
    }
}

/// Starts a command that holds a lock, and waits until this process is killed.
async fn hold_a_lock(isolation: Isolation) {
    let folder = env::var(FOLDER).expect("a folder");
    let view = FileView::system().read_write(&folder, &folder);
    let script = format!("flock {folder}/lock sh -c 'echo held; exec sleep 600'");
    let command = SandboxCommand::new("/bin/sh")
        .args(["-c", &script])
        .stdout(StdStream::Pipe);
    let mut child = command
        .isolation(isolation.files(view))
        .spawn()
        .await
        .expect("it starts");
    let mut line = [0; 5];
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut line).await.expect("a line");
    println!("ready");
    std::io::stdout().flush().expect("output");
    child.wait().await.expect("it ends");
}

#[tokio::test]
async fn killed_worker_leaves_nothing() {
    for preset in 0..3 {
        let lock = Lock::new();
        let mut worker = Command::new(env::current_exe().expect("this program"))
            .args(arguments())
            .env(ROLE, preset.to_string())
            .env(FOLDER, lock.folder())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a worker");
        let output = BufReader::new(worker.stdout.take().expect("a pipe"));
        assert!(
            output
                .lines()
                .map_while(Result::ok)
                .any(|line| line.contains("ready"))
        );
        assert!(lock.is_held());
        worker.kill().expect("it runs");
        worker.wait().expect("it ends");
        eventually("the lock is free", || !lock.is_held()).await;
    }
}
