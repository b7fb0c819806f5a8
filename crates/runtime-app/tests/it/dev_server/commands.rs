//! The commands for tasks.

use std::process::{Command, Stdio};

use serde_json::json;

use super::{Server, program};
use crate::{file, folder, greeter, run};

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
struct Worker(std::process::Child);

impl Worker {
    fn start(server: &Server, folder: &tempfile::TempDir, tasks: &str) -> Self {
        let mut command = with_variables(server, greeter(folder));
        command.args(["run", "--connect", "--max-tasks", tasks]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the example starts"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail if the worker has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn created_task_is_followed_to_its_end() {
    let folder = folder();
    let server = Server::start(folder.path(), "0");
    let _worker = Worker::start(&server, &folder, "2");
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

#[test]
fn task_without_a_log_is_an_error() {
    let folder = folder();
    let server = Server::start(folder.path(), "0");
    let task = json!({ "taskQueueId": "no/worker", "payload": {} });
    let path = file(&folder, "task.json", &task);
    let (_, created) = run(tasks(&server, &["create"]).arg(path));
    let id = created.split(' ').next().expect("an id");
    let (output, text) = run(&mut tasks(&server, &["log", id]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the task is pending; --follow waits for its log"),
        "{text}"
    );
}

#[test]
fn mistakes_name_their_remedy() {
    let folder = folder();
    let server = Server::start(folder.path(), "0");
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
    let (output, text) = run(program().args(["--address", "0.0.0.0"]));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("an address that clients can reach"), "{text}");
}
