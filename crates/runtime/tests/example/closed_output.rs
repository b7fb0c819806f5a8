//! The example worker when nobody reads its output any more.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::site::Site;
use crate::support::{Worker, file, folder, worker};

/// Reads a line of a worker, as `head -1` does, and goes.
fn read_a_line_and_go(worker: &mut Worker) -> String {
    let mut line = String::new();
    let mut output = BufReader::new(worker.take_output());
    output.read_line(&mut line).expect("text");
    line
}

/// Starts a worker, both of whose outputs are read or not as a test likes.
fn start(command: &mut Command) -> Worker {
    Worker::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn tasks_run_to_their_end_and_the_status_says_how_they_ended() {
    for (command, expected) in [("true", 0), ("false", 1)] {
        let (scratch, folder) = (folder(), folder());
        let task = format!("payload: {{ command: ['{command}'] }}");
        let task = file(&scratch, "task.yml", &task);
        let mut worker = start(worker(folder.path()).arg(task));
        assert!(read_a_line_and_go(&mut worker).contains("embedded Taskcluster"));
        let (status, said) = worker.ended_with_errors();
        assert_eq!(status.code(), Some(expected), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn nothing_is_said_if_neither_output_is_read() {
    let (scratch, folder) = (folder(), folder());
    let task = file(&scratch, "task.yml", "payload: { command: ['false'] }");
    let mut worker = start(worker(folder.path()).arg(task));
    drop(worker.take_output());
    worker.close_errors();
    assert_eq!(
        worker.ended().code(),
        Some(1),
        "the task failed, and nothing panicked"
    );
}

#[test]
fn a_schema_that_is_not_read_to_its_end_is_no_error() {
    let folder = folder();
    let mut worker = start(worker(folder.path()).arg("--config-schema"));
    drop(worker.take_output());
    let (status, said) = worker.ended_with_errors();
    assert!(status.success() && said.is_empty(), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_written_are_an_error() {
    let folder = folder();
    let full = std::fs::File::create("/dev/full").expect("Linux has it");
    let mut command = worker(folder.path());
    let command = command.arg("--config-schema").stdout(full);
    let (status, said) = Worker::start(command.stderr(Stdio::piped())).ended_with_errors();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: cannot print"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_for_a_deployment_goes_on() {
    let mut site = Site::new().await;
    site.start(|_| ());
    site.close_output();
    for _ in 0..2 {
        let task = json!({ "payload": { "command": ["true"] } });
        assert_eq!(
            site.resolved(task).await.reason_resolved(),
            Some("completed")
        );
    }
    site.stop().await;
}
