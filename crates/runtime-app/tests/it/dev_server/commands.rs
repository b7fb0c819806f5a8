//! The commands for tasks.

use std::process::{Command, Stdio};

use serde_json::json;

use super::{Server, program};
use crate::{Program, file, folder, greeter, run};

/// A command with the variables of a server.
fn with_variables(server: &Server, mut command: Command) -> Command {
    command.envs(server.variables.clone());
    command
}

fn tasks(server: &Server, args: &[&str]) -> Command {
    let mut command = with_variables(server, program());
    command.arg("tasks").args(args);
    command
}

/// Runs the example worker until it has run this number of tasks.
fn start_worker(server: &Server, folder: &tempfile::TempDir, tasks: &str) -> Program {
    let mut command = with_variables(server, greeter(folder));
    command.args(["run", "--connect", "--max-tasks", tasks]);
    Program::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[test]
fn created_task_is_followed_to_its_end() {
    let folder = folder();
    let server = Server::start(folder.path());
    let _worker = start_worker(&server, &folder, "2");
    let task = |exit_code: u8| {
        let task = json!({
            "taskQueueId": "demo/local",
            "payload": { "name": "world", "exitCode": exit_code },
        });
        file(&folder, &format!("task-{exit_code}.json"), &task)
    };
    for (exit_code, expected) in [(0, "is completed"), (3, "is failed")] {
        let mut create = tasks(&server, &["create", "--follow"]);
        let (output, text) = run(create.arg(task(exit_code)));
        assert_eq!(output.status.success(), exit_code == 0, "{text}");
        let id = text.split(' ').next().expect("an id");
        let page = format!("{}/tasks/{id}", server.root_url());
        for part in [&*page, "Hello, world!", expected] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
        let log = run(&mut tasks(&server, &["log", id])).1;
        assert!(log.contains("Hello, world!"), "{log}");
    }
}

/// Creates a task that no worker claims, and returns its id.
fn pending_task(server: &Server, folder: &tempfile::TempDir) -> String {
    let task = json!({ "taskQueueId": "no/worker", "payload": {} });
    let path = file(folder, "task.json", &task);
    let (_, created) = run(tasks(server, &["create"]).arg(path));
    created.split(' ').next().expect("an id").to_owned()
}

#[test]
fn task_is_cancelled_and_run_again() {
    let folder = folder();
    let server = Server::start(folder.path());
    let id = pending_task(&server, &folder);
    for (command, lines) in [
        ("status", "\npending\nrun 0: pending\n"),
        ("rerun", "\npending\nrun 0: pending\n"),
        ("cancel", "\nexception\nrun 0: exception/canceled\n"),
        (
            "rerun",
            "\npending\nrun 0: exception/canceled\nrun 1: pending\n",
        ),
    ] {
        let (output, text) = run(&mut tasks(&server, &[command, &id]));
        assert!(output.status.success(), "{text}");
        let page = format!("{id} {}/tasks/{id}", server.root_url());
        assert_eq!(text, format!("{page}{lines}"));
    }
    run(&mut tasks(&server, &["cancel", &id]));
    let (output, text) = run(&mut tasks(&server, &["log", "--follow", &id]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text, format!("{id} is exception/canceled\n"));
    let (output, text) = run(&mut tasks(&server, &["cancel", "CFAKnfgiTSGBc9lIjR5CnQ"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn secret_is_set_from_a_file() {
    let folder = folder();
    let server = Server::start(folder.path());
    let set = |text: &str| {
        let path = folder.path().join("secret.yml");
        std::fs::write(&path, text).expect("the folder is ours");
        let mut command = with_variables(&server, program());
        run(command.args(["secrets", "set", "project/a"]).arg(path))
    };
    for wrong in ["- hunter2", "key: [hunter2", "hunter2"] {
        let (output, text) = set(wrong);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("secret.yml"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let (output, text) = set("key: hunter2");
    assert!(output.status.success(), "{text}");
    let expected = "the secret `project/a` expires on 20";
    assert!(text.starts_with(expected), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let secret = runtime.block_on(server.target().secret("project/a"));
    assert_eq!(secret, r#"{"key":"hunter2"}"#);
}

#[test]
fn task_without_a_log_is_an_error() {
    let folder = folder();
    let server = Server::start(folder.path());
    let id = pending_task(&server, &folder);
    let (output, text) = run(&mut tasks(&server, &["log", &id]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the task is pending; --follow waits for its log"),
        "{text}"
    );
}

#[test]
fn mistakes_name_their_remedy() {
    let folder = folder();
    let server = Server::start(folder.path());
    let path = file(&folder, "task.json", &json!({ "payload": {} }));
    let (output, text) = run(tasks(&server, &["create"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("task.json") && text.contains("taskQueueId"),
        "{text}"
    );
    let mut second = program();
    second
        .arg("--data")
        .arg(folder.path())
        .args(["--port", "0"]);
    let (output, text) = run(&mut second);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("another server uses the data folder"),
        "{text}"
    );
    let mut without = program();
    without.args(["tasks", "log", "CFAKnfgiTSGBc9lIjR5CnQ"]);
    let (output, text) = run(without.env_remove("TASKCLUSTER_ROOT_URL"));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("set TASKCLUSTER_ROOT_URL"), "{text}");
    let path = file(
        &folder,
        "task.json",
        &json!({ "taskQueueId": "a/b", "payload": {} }),
    );
    let mut create = tasks(&server, &["create"]);
    create.arg(path);
    let (output, text) = run(create.env("TASKCLUSTER_ACCESS_TOKEN", "of-another-folder"));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("set the variables that the server prints"),
        "{text}"
    );
    let root_url = server.root_url().to_owned();
    drop(server);
    let (output, text) = run(&mut create);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = format!("cannot reach {root_url}; start the server");
    assert!(text.contains(&expected), "{text}");
    let (output, text) = run(program().args(["--address", "0.0.0.0"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("an address that clients can reach"), "{text}");
}
