//! Workers as separate processes: one that dies, and ones inside of a sandbox.

use std::env;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use runtime_sandbox::{FileView, Isolation, SandboxCommand, StdStream, Support, Wall};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::{Lock, eventually, is_root, limited, presets, run, shell};

/// The variable with the role of this program as a worker.
pub(crate) const ROLE: &str = "SANDBOX_TEST_ROLE";

/// The variable with a folder of the test.
pub(crate) const FOLDER: &str = "SANDBOX_TEST_FOLDER";

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
                    let code = limited(child.wait()).await.expect("it ends").status.code();
                    println!(
                        "role: missing {:?}, exit code {code:?}",
                        child.missing_walls()
                    );
                }
                Err(error) => println!("role: {error} {:?}", error.source()),
            }
        }
        Ok("no network") => {
            for wall in [None, Some(Wall::SystemCalls)] {
                let isolation = Isolation::none().with(Wall::Network);
                let isolation = wall.into_iter().fold(isolation, Isolation::with);
                let command = SandboxCommand::new(env::current_exe().expect("this program"))
                    .args(arguments())
                    .env(ROLE, "sockets");
                let command = command.stdout(StdStream::Pipe).stderr(StdStream::Pipe);
                println!("{}", run(command.isolation(isolation)).await.1);
            }
            println!("role: {}", Support::probe().await);
        }
        Ok("outbound") => {
            let support = Support::probe().await;
            let error = support.outbound_network().expect_err("no `pasta`");
            println!("role: {error}: {:?}", error.source());
        }
        Ok("hold outbound") => hold_a_lock(Isolation::strict().outbound_network()).await,
        Ok("sockets") => list_sockets(),
        Ok("hang") => hang().await,
        Ok("connect") => {
            let stream = std::os::unix::net::UnixStream::connect("/socket");
            println!("role: connected {}", stream.is_ok());
        }
        Ok(preset) => hold_a_lock(presets()[preset.parse::<usize>().unwrap_or(0)].clone()).await,
        Err(_) => {}
    }
}

/// Prints the kinds of sockets that this process can create.
fn list_sockets() {
    use rustix::net::{AddressFamily, SocketType, socket};
    let families = [
        ("local", AddressFamily::UNIX),
        ("internet 4", AddressFamily::INET),
        ("internet 6", AddressFamily::INET6),
        ("netlink", AddressFamily::NETLINK),
        ("packet", AddressFamily::PACKET),
    ];
    let kinds = [
        SocketType::STREAM,
        SocketType::DGRAM,
        SocketType::RAW,
        SocketType::SEQPACKET,
    ];
    let has = |family| kinds.iter().any(|kind| socket(family, *kind, None).is_ok());
    let possible = families.iter().filter(|(_, family)| has(*family));
    let possible: Vec<_> = possible.map(|(name, _)| name).collect();
    println!("role: sockets {possible:?}");
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
    limited(child.wait()).await.expect("it ends");
}

/// Starts a program on a file system that never answers.
async fn hang() {
    let program = format!("{}/program", env::var(FOLDER).expect("a folder"));
    let mut start = Box::pin(
        SandboxCommand::new(program)
            .isolation(Isolation::none())
            .spawn(),
    );
    let limit = Duration::from_millis(100);
    assert!(timeout(limit, &mut start).await.is_err(), "the start hangs");
    // This runtime has one thread, which continues.
    let mut other = shell("exit 3", Isolation::strict())
        .spawn()
        .await
        .expect("it starts");
    assert_eq!(
        limited(other.wait()).await.expect("it ends").status.code(),
        Some(3)
    );
    assert!(timeout(limit, &mut start).await.is_err(), "the start hangs");
    drop(start);
    eventually("no child is left", || {
        let id = std::process::id();
        let tasks = std::fs::read_dir(format!("/proc/{id}/task"))
            .expect("threads")
            .flatten();
        let mut children = tasks.map(|task| std::fs::read_to_string(task.path().join("children")));
        // A killed process stays until the next start or drop.
        children.all(|it| it.is_ok_and(|it| it.is_empty())) || sweep()
    })
    .await;
    println!("role: the start was given up");
}

/// Reaps dropped processes. Returns `false`.
fn sweep() -> bool {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let start = shell("true", Isolation::none()).spawn();
            start
                .await
                .expect("it starts")
                .wait()
                .await
                .expect("it ends");
        });
    })
    .join()
    .expect("no panic");
    false
}

#[test]
fn hanging_start_blocks_nothing() {
    if !is_root() {
        return println!("skipped: needs root");
    }
    let folder = tempfile::tempdir().expect("a folder");
    // In private mounts. The script keeps the other end of the file system open and never reads it.
    let script = "exec 9<>/dev/fuse && mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none \
                  \"$SANDBOX_TEST_FOLDER\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(env::current_exe().expect("this program"))
        .args(arguments())
        .env(ROLE, "hang")
        .env(FOLDER, folder.path())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("/dev/fuse") {
        return println!("skipped: no FUSE on this machine: {errors}");
    }
    assert!(
        text.contains("role: the start was given up"),
        "{text}{errors}"
    );
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
