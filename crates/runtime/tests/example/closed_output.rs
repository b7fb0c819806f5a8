//! The example worker when nobody reads its output any more.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::json;

use crate::site::Site;
use crate::support::{file, folder, worker};

/// Reads a line of a child, as `head -1` does, and goes.
fn read_a_line_and_go(child: &mut Child) -> String {
    let stdout = child.stdout.take().expect("its output is a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("text");
    line
}

#[test]
fn tasks_run_to_their_end_and_the_status_says_how_they_ended() {
    for (command, expected) in [("true", 0), ("false", 1)] {
        let (scratch, folder) = (folder(), folder());
        let task = format!("payload: {{ command: ['{command}'] }}");
        let task = file(&scratch, "task.yml", &task);
        let mut child = worker(folder.path())
            .arg(task)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        assert!(read_a_line_and_go(&mut child).contains("embedded Taskcluster"));
        let output = child.wait_with_output().expect("it is our child");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn nothing_is_said_if_neither_output_is_read() {
    let (scratch, folder) = (folder(), folder());
    let task = file(&scratch, "task.yml", "payload: { command: ['false'] }");
    let mut child = worker(folder.path())
        .arg(task)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("it is our child");
    assert_eq!(
        status.code(),
        Some(1),
        "the task failed, and nothing panicked"
    );
}

#[test]
fn a_schema_that_is_not_read_to_its_end_is_no_error() {
    let folder = folder();
    let mut child = worker(folder.path())
        .arg("--config-schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it is our child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_written_are_an_error() {
    let folder = folder();
    let full = std::fs::File::create("/dev/full").expect("Linux has it");
    let output = worker(folder.path())
        .arg("--config-schema")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("the example starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
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
