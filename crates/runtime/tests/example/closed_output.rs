//! The example worker with closed outputs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::site::Site;
use crate::support::{Worker, file, folder, worker};

/// Reads one line and closes the output, as `head -1` does.
fn read_line_and_close(worker: &mut Worker) -> String {
    let mut line = String::new();
    let mut output = BufReader::new(worker.take_output());
    output.read_line(&mut line).expect("text");
    line
}

/// Starts a worker with pipes for both outputs.
fn start(command: &mut Command) -> Worker {
    Worker::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

#[test]
fn closed_stdout_does_not_change_exit_code() {
    for (command, expected) in [("true", 0), ("false", 1)] {
        let (scratch, folder) = (folder(), folder());
        let task = format!("payload: {{ command: ['{command}'] }}");
        let task = file(&scratch, "task.yml", &task);
        let mut worker = start(worker(folder.path()).arg(task));
        assert!(read_line_and_close(&mut worker).contains("embedded Taskcluster"));
        let (status, errors) = worker.ended_with_errors();
        assert_eq!(status.code(), Some(expected), "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn closed_outputs_do_not_panic() {
    let (scratch, folder) = (folder(), folder());
    let task = file(&scratch, "task.yml", "payload: { command: ['false'] }");
    let mut worker = start(worker(folder.path()).arg(task));
    drop(worker.take_output());
    worker.close_errors();
    assert_eq!(worker.ended().code(), Some(1), "failed task, no panic");
}

#[test]
fn closed_pipe_is_not_an_error() {
    let folder = folder();
    let mut worker = start(worker(folder.path()).arg("schema"));
    drop(worker.take_output());
    let (status, errors) = worker.ended_with_errors();
    assert!(status.success() && errors.is_empty(), "{errors}");
}

#[test]
#[cfg(target_os = "linux")]
fn full_disk_is_an_error() {
    let folder = folder();
    let full = std::fs::File::create("/dev/full").expect("Linux has this device");
    let mut command = worker(folder.path());
    let command = command.arg("schema").stdout(full);
    let (status, errors) = Worker::start(command.stderr(Stdio::piped())).ended_with_errors();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: cannot print"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connected_worker_ignores_closed_stdout() {
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
