//! A full disk: a change that cannot be stored is not acknowledged, and removes nothing.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runtime_taskcluster_embedded::RequestError;
use serde_json::json;

use super::{restart, start};
use crate::support::artifacts::{HOUR, put, put_url};
use crate::support::{Client, QUEUE, create, later};

/// The data folder below the folder of the process.
const FOLDER: &str = "state";
/// The number of uploads that certainly exceed the limit of a file.
const MAX_UPLOADS: u32 = 2000;

/// Runs an ignored test of this program in a new folder, as a process whose files can have at most 64 blocks.
fn run_with_small_files(test: &str) {
    let folder = super::folder();
    // Without the trap, a signal would end the process.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command.arg(std::env::current_exe().expect("a path"));
    command.args([
        &format!("restarts::full_disk::{test}"),
        "--exact",
        "--ignored",
    ]);
    let output = command
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn failed_upload_keeps_the_stored_artifact() {
    run_with_small_files("upload_until_the_disk_is_full");
}

#[tokio::test]
#[ignore = "the test above runs it with a limit for files"]
async fn upload_until_the_disk_is_full() {
    let taskcluster = start(FOLDER).await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    let mut stored = 0;
    while put(&url, &[], stored.to_string().into()).await.status() == 200 {
        stored += 1;
        assert!(stored < MAX_UPLOADS, "the limit has no effect");
    }
    // Nothing that follows removes a file either.
    assert_eq!(put(&url, &[], b"later".to_vec()).await.status(), 500);
    let taskcluster = restart(taskcluster, FOLDER).await;
    let artifact = taskcluster.read_artifact(&task_id, "public/a").await;
    assert_eq!(artifact.unwrap().bytes, (stored - 1).to_string().as_bytes());
}

#[test]
fn failed_upload_keeps_the_stored_object() {
    run_with_small_files("upload_object_until_the_disk_is_full");
}

#[tokio::test]
#[ignore = "the test above runs it with a limit for files"]
async fn upload_object_until_the_disk_is_full() {
    let taskcluster = start(FOLDER).await;
    let client = Client::root(&taskcluster);
    let mut upload = json!({
        "projectId": "p", "uploadId": "CFAKnfgiTSGBc9lIjR5CnQ", "expires": later(&taskcluster, HOUR),
    });
    let mut stored = 0;
    loop {
        let data = STANDARD.encode(stored.to_string());
        let inline = json!({ "contentType": "text/plain", "objectData": data });
        upload["proposedUploadMethods"] = json!({ "dataInline": inline });
        let created = client.put("/api/object/v1/upload/a", upload.clone()).await;
        if created.status == 500 {
            break;
        }
        assert_eq!(created.status, 200, "{:?}", created.body);
        stored += 1;
        assert!(stored < MAX_UPLOADS, "the limit has no effect");
    }
    restart(taskcluster, FOLDER).await.stop().await;
    // The start has removed the files that the state does not name.
    let files = fs::read_dir(Path::new(FOLDER).join("artifacts")).unwrap();
    let contents: Vec<_> = files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(contents, [(stored - 1).to_string()]);
}

#[test]
fn failed_write_is_reported_by_the_library() {
    run_with_small_files("cancel_until_the_disk_is_full");
}

#[tokio::test]
#[ignore = "the test above runs it with a limit for files"]
async fn cancel_until_the_disk_is_full() {
    let taskcluster = start(FOLDER).await;
    taskcluster.add_static_worker(QUEUE, "group", "worker", "proof");
    let tasks: Vec<_> = (0..10).map(|_| create(&taskcluster, json!({}))).collect();
    for n in 0.. {
        assert!(n < MAX_UPLOADS, "the limit has no effect");
        taskcluster.set_secret("a", json!({ "n": n }));
        if taskcluster.status(&tasks[0]).is_err() {
            break;
        }
    }
    let is_reported = |error: RequestError| {
        let text = error.message;
        assert!(
            text.contains("could not be written to the data folder"),
            "{text}"
        );
    };
    is_reported(
        taskcluster
            .wait_until_resolved(&tasks[0])
            .await
            .unwrap_err(),
    );
    is_reported(taskcluster.cancel_task(&tasks[0]).unwrap_err());
    is_reported(
        taskcluster
            .terminate_worker(QUEUE, "group", "worker", "r")
            .unwrap_err(),
    );
    let client = Client::root(&taskcluster);
    let clock = client.post("/control/clock", json!({ "advance": 86400 }));
    assert_eq!(clock.await.status, 500);
    // All are resolved in memory now, and none was replaced by a record that was never written.
    for task_id in &tasks {
        assert_eq!(taskcluster.task(task_id).unwrap()["taskQueueId"], QUEUE);
    }
}
