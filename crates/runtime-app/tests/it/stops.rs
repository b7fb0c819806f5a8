//! How a worker ends, and what it reports about it.

use std::process::Stdio;
use std::time::Duration;

use runtime_taskcluster_embedded::{Fault, FaultRule};
use serde_json::json;

use crate::Program;
use crate::fleet::{Fleet, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn once_runs_one_task() {
    let fleet = Fleet::new().await;
    let tasks = ["a", "b"].map(|name| fleet.create(name));
    let mut command = fleet.command("run");
    command.arg("--once");
    let (output, text) = fleet.run(command).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    let states = tasks.map(|task_id| {
        let status = fleet.taskcluster.status(&task_id).expect("a task");
        status.state_and_reason()
    });
    assert_eq!(states, ["completed", "pending"]);
    fleet.taskcluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn exit_code_names_the_cause() {
    let mut fleet = Fleet::new().await;
    fleet.settings["worker"]["maxLifeTime"] = json!("1 s");
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Idle, and the worker manager agrees.
    fleet.settings["worker"]["maxLifeTime"] = json!("1 h");
    fleet.settings["worker"]["plugins"] = json!({ "idleStop": "1 s" });
    let terminated =
        fleet
            .taskcluster
            .terminate_worker("pool/linux", "group", "id", "over capacity");
    terminated.expect("a worker");
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(68), "{text}");
    // Without being idle.
    fleet.settings["worker"]["plugins"] = json!({});
    fleet.settings["worker"]["shutdown"] = json!(["signals", "worker-manager"]);
    let (output, text) = fleet.run(fleet.command("run")).await;
    assert_eq!(output.status.code(), Some(70), "{text}");
    fleet.taskcluster.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn needed_worker_does_not_stop_when_idle() {
    let mut fleet = Fleet::new().await;
    fleet.settings["worker"]["plugins"] = json!({ "idleStop": "1 s" });
    let method = "worker-manager.shouldWorkerTerminate";
    let nothing = Fault::Latency { millis: 0 };
    let asked = fleet.taskcluster.inject(FaultRule::new(method, nothing));
    let mut command = fleet.command("run");
    let mut child = Program::start(command.stdout(Stdio::null()));
    for _ in 0..600 {
        if asked.hits() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(asked.hits() >= 2, "the worker asks again");
    assert!(
        child.try_wait().expect("a child").is_none(),
        "it still runs"
    );
    signal(&child, "-TERM");
    let status = tokio::task::spawn_blocking(move || child.wait());
    let status = status.await.expect("no panic").expect("a child");
    assert_eq!(status.code(), Some(0));
    fleet.taskcluster.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn signal_ends_a_start_that_is_retried() {
    let fleet = Fleet::new().await;
    let fault = Fault::Status {
        status: 500,
        retry_after: None,
    };
    let failed = fleet
        .taskcluster
        .inject(FaultRule::new("secrets.get", fault));
    let mut command = fleet.command("run");
    let mut child = Program::start(command.stdout(Stdio::null()));
    for _ in 0..600 {
        if failed.hits() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(failed.hits() > 0, "the worker reads the secret of its pool");
    let stopped = std::time::Instant::now();
    signal(&child, "-TERM");
    let status = tokio::task::spawn_blocking(move || child.wait());
    let status = status.await.expect("no panic").expect("a child");
    assert_eq!(status.code(), Some(0));
    // Without the limit, the call is retried for three minutes.
    assert!(stopped.elapsed() < Duration::from_secs(90));
    fleet.taskcluster.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn systemd_is_notified() {
    let fleet = Fleet::new().await;
    let path = fleet.folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a new path");
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout");
    let mut command = fleet.command("run");
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000000");
    let _child = Program::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let mut message = [0; 64];
    for expected in ["READY=1", "WATCHDOG=1"] {
        let len = socket.recv(&mut message).expect("a message");
        assert_eq!(message[..len], *expected.as_bytes());
    }
}
