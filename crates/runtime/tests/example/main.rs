//! The example worker as its users meet it: as a program.
#![cfg(unix)]

mod closed_output;
mod configured;
mod reports;
mod site;
mod support;
mod worker_runner;

use std::process::Stdio;

use runtime::Timestamp;
use runtime::mocks::taskcluster::Taskcluster;
use runtime::mocks::websocktunnel::WebsocktunnelServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Worker, file, folder, follow, run, worker};

fn is_empty(folder: &TempDir) -> bool {
    std::fs::read_dir(folder.path())
        .expect("the folder is there")
        .next()
        .is_none()
}

#[test]
fn the_demo_tasks_end_as_their_files_say_and_leave_nothing() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).arg("--json"));
    assert!(output.status.success(), "{text}");
    let rows = String::from_utf8(output.stdout).expect("it writes text");
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON a line"))
        .collect();
    let tasks: Vec<_> = rows.iter().filter(|row| row["task"].is_string()).collect();
    assert_eq!(tasks.len(), 6);
    assert!(
        tasks.iter().all(|row| row["state"] == row["expected"]),
        "{tasks:#?}"
    );
    let warm = tasks
        .iter()
        .find(|row| row["task"] == "warm")
        .expect("the task that finds caches warm");
    assert_eq!(warm["cacheHits"], 2);
    assert!(
        is_empty(&folder),
        "something is left in the temporary folder"
    );
}

#[test]
fn no_secret_is_printed_at_the_most_talkative_level() {
    let folder = folder();
    let (_, text) = run(worker(folder.path()).args(["--log-level", "trace"]));
    for word in ["accessToken", "Hawk id", "bewit=", "certificate\\\""] {
        assert!(!text.contains(word), "`{word}` in {text}");
    }
}

#[test]
fn a_broken_file_is_named_and_so_is_what_is_wrong() {
    let folder = folder();
    let path = file(&folder, "broken.yml", "payload: [");
    let (output, text) = run(worker(folder.path()).arg(&path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("broken.yml` is no task definition"), "{text}");
}

#[test]
fn a_payload_that_does_not_fit_is_explained() {
    let folder = folder();
    let path = file(
        &folder,
        "wrong.yml",
        "payload: { command: echo, maxRunTime: soon }",
    );
    let (output, text) = run(worker(folder.path()).arg(&path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("`payload.command`") && text.contains("`payload.maxRunTime`"),
        "{text}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (output, text) = run(worker(folder.path()).args(["--port", &port]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&port) && text.contains("taken"), "{text}");
}

#[test]
fn a_connection_without_credentials_says_what_to_set() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).args(["--connect", "http://127.0.0.1:1"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("TASKCLUSTER_CLIENT_ID must be set"), "{text}");
}

#[test]
fn a_second_signal_stops_running_tasks_and_leaves_nothing() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the definition");
    let path = file(&scratch, "long.yml", "payload: { command: [sleep, '600'] }");
    let mut command = worker(folder.path());
    let mut worker = Worker::start(command.arg(&path).stdout(Stdio::piped()));
    worker.read_until("running");
    worker.signal("-TERM");
    let status = worker.signal_until_ended();
    assert_eq!(status.code(), Some(1), "the task did not complete");
    assert!(
        is_empty(&folder),
        "something is left in the temporary folder"
    );
}

#[test]
fn what_is_kept_serves_another_worker_until_a_signal() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the definition");
    let path = file(&scratch, "quick.yml", "payload: { command: ['true'] }");
    let mut kept = worker(folder.path());
    let kept = kept.arg("--keep").arg(&path);
    let mut kept = Worker::start(kept.stdout(Stdio::piped()));
    let lines = kept.read_until("go on until Ctrl-C");
    let exports = lines
        .iter()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let mut second = worker(folder.path());
    second
        .envs(exports)
        .args(["--task-queue-id", "demo/other"])
        .stdout(Stdio::piped());
    let mut second = Worker::start(&mut second);
    second.read_until("claiming from demo/other");

    for worker in [&mut second, &mut kept] {
        worker.signal("-TERM");
        let status = worker.ended();
        assert!(status.success(), "{status}");
    }
    assert!(
        is_empty(&folder),
        "something is left in the temporary folder"
    );
}

#[test]
fn a_worker_without_hooks_has_no_live_logs() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the files");
    let hooks = file(&scratch, "hooks.yml", "provider: none");
    let task = file(&scratch, "quick.yml", "payload: { command: ['true'] }");
    let (output, text) = run(worker(folder.path())
        .arg("--web-hooks")
        .arg(&hooks)
        .arg(&task));
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("curl -N"), "{text}");
}

#[test]
fn a_wrong_setting_of_hooks_is_named() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the file");
    let hooks = file(&scratch, "hooks.yml", "{ provider: localhost, prot: 80 }");
    let (output, text) = run(worker(folder.path()).arg("--web-hooks").arg(&hooks));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("unknown key `prot`, did you mean `port`?"),
        "{text}"
    );
}

#[test]
fn the_schema_of_the_hooks_is_printed() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).arg("--web-hooks-schema"));
    assert!(output.status.success(), "{text}");
    let schema: Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(schema["oneOf"].is_array(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_live_log_is_reached_through_a_tunnel() {
    let taskcluster = Taskcluster::start().await.expect("a free port");
    let tunnel = WebsocktunnelServer::builder()
        .secret(taskcluster.tunnel_key())
        .audience("demo");
    let tunnel = tunnel.start().await.expect("a free port");
    let folder = folder();
    let hooks = json!({
        "provider": "websocktunnel",
        "serverUrl": tunnel.url(),
        "audience": "demo",
        "clientId": "local.worker.hooks",
    });
    let scratch = tempfile::tempdir().expect("a folder for the file");
    let hooks = file(&scratch, "hooks.json", &hooks.to_string());
    let now = Timestamp::now();
    let definition = json!({
        "taskQueueId": "demo/local",
        "created": now.to_string(),
        "deadline": (now + std::time::Duration::from_secs(3600)).to_string(),
        "payload": { "command": ["sh", "-c", "echo through-the-tunnel; exec sleep 600"] },
        "metadata": { "name": "t", "description": "t", "owner": "t@example.com", "source": "https://example.com" },
    });
    taskcluster.create_task(definition).expect("it is valid");
    let credentials = taskcluster.credentials();
    let token = credentials.secrets().next().unwrap_or_default().to_owned();
    let mut command = worker(folder.path());
    command
        .args(["--connect", taskcluster.root_url(), "--web-hooks"])
        .arg(&hooks)
        .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
        .env("TASKCLUSTER_ACCESS_TOKEN", token)
        .stdout(Stdio::piped());
    let mut worker = Worker::start(&mut command);
    let expected = tunnel.client_url("local.worker.hooks");
    let work = tokio::task::spawn_blocking(move || {
        let lines = worker.read_until("curl -N ");
        let (_, url) = lines
            .last()
            .and_then(|line| line.split_once("curl -N "))
            .expect("it was waited for");
        assert!(url.starts_with(&expected), "{url}");
        follow(url, "through-the-tunnel");
        worker.signal("-TERM");
        worker.signal_until_ended()
    });
    assert!(work.await.expect("no panic").success());
}
