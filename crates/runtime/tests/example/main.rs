//! The example worker, run as a program.
#![cfg(unix)]

mod checks;
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
        .expect("the folder exists")
        .next()
        .is_none()
}

#[test]
fn demo_tasks_get_their_expected_results() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).arg("--json"));
    assert!(output.status.success(), "{text}");
    let rows = String::from_utf8(output.stdout).expect("text");
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON value per line"))
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
        .expect("the task `warm` ran");
    assert_eq!(warm["cacheHits"], 2);
    assert!(is_empty(&folder), "files left in the temporary folder");
}

#[test]
fn trace_log_has_no_secrets() {
    let folder = folder();
    let (_, text) = run(worker(folder.path()).args(["--log-level", "trace"]));
    for word in ["accessToken", "Hawk id", "bewit=", "certificate\\\""] {
        assert!(!text.contains(word), "`{word}` in {text}");
    }
}

#[test]
fn syntax_error_in_definition_is_reported() {
    let folder = folder();
    let path = file(&folder, "broken.yml", "payload: [");
    let (output, text) = run(worker(folder.path()).arg(&path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("invalid task definition `"), "{text}");
}

#[test]
fn schema_errors_of_payload_are_printed() {
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
fn port_in_use_is_reported() {
    let folder = folder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener
        .local_addr()
        .expect("a bound socket")
        .port()
        .to_string();
    let (output, text) = run(worker(folder.path()).args(["--port", &port]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&port) && text.contains("already in use"),
        "{text}"
    );
}

#[test]
fn missing_credentials_are_reported() {
    let folder = folder();
    let (output, text) =
        run(worker(folder.path()).args(["run", "--connect", "http://127.0.0.1:1"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("set TASKCLUSTER_CLIENT_ID or"), "{text}");
}

#[test]
fn connect_without_value_reads_variable() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).args(["run", "--connect"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in TASKCLUSTER_ROOT_URL"), "{text}");
    let mut command = worker(folder.path());
    let command = command.env("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:1");
    let (output, text) = run(command.args(["run", "--connect"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("set TASKCLUSTER_CLIENT_ID or"), "{text}");
}

#[test]
fn variable_alone_does_not_connect() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the definition");
    let path = file(&scratch, "short.yml", "payload: { command: ['true'] }");
    let mut command = worker(folder.path());
    let command = command.env("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:1");
    let (output, text) = run(command.arg(&path));
    assert!(output.status.success(), "{text}");
}

#[test]
fn second_signal_stops_running_tasks() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the definition");
    let path = file(&scratch, "long.yml", "payload: { command: [sleep, '600'] }");
    let mut command = worker(folder.path());
    let mut worker = Worker::start(command.arg(&path).stdout(Stdio::piped()));
    worker.read_until("running");
    worker.signal("-TERM");
    let status = worker.signal_until_ended();
    assert_eq!(status.code(), Some(1), "the task was stopped");
    assert!(is_empty(&folder), "files left in the temporary folder");
}

#[test]
fn kept_taskcluster_serves_another_worker() {
    let folder = folder();
    let scratch = tempfile::tempdir().expect("a folder for the definition");
    let path = file(&scratch, "quick.yml", "payload: { command: ['true'] }");
    let mut kept = worker(folder.path());
    let kept = kept.arg("--keep").arg(&path);
    let mut kept = Worker::start(kept.stdout(Stdio::piped()));
    let lines = kept.read_until("keep running until Ctrl-C");
    let exports = lines
        .iter()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let mut second = worker(folder.path());
    second
        .envs(exports)
        .args(["run", "--connect", "--task-queue-id", "demo/other"])
        .stdout(Stdio::piped());
    let mut second = Worker::start(&mut second);
    second.read_until("claiming from demo/other");

    for worker in [&mut second, &mut kept] {
        worker.signal("-TERM");
        let status = worker.ended();
        assert!(status.success(), "{status}");
    }
    assert!(is_empty(&folder), "files left in the temporary folder");
}

#[test]
fn live_logs_can_be_disabled() {
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
fn unknown_web_hook_setting_is_reported() {
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
fn web_hook_schema_is_printed() {
    let folder = folder();
    let (output, text) = run(worker(folder.path()).args(["schema", "--web-hooks"]));
    assert!(output.status.success(), "{text}");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert!(schema["oneOf"].is_array(), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn live_log_is_served_through_tunnel() {
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
    taskcluster
        .create_task(definition)
        .expect("a valid definition");
    let credentials = taskcluster.credentials();
    let token = credentials.secrets().next().unwrap_or_default().to_owned();
    let mut command = worker(folder.path());
    command
        .args(["run", "--connect", taskcluster.root_url(), "--web-hooks"])
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
            .expect("the line was read");
        assert!(url.starts_with(&expected), "{url}");
        follow(url, "through-the-tunnel");
        worker.signal("-TERM");
        worker.signal_until_ended()
    });
    assert!(work.await.expect("no panic").success());
}
