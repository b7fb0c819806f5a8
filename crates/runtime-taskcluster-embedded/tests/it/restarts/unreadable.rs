//! A resolved task whose record cannot be read from the journal.

use std::fs;

use runtime_taskcluster_embedded::{ErrorCode, Taskcluster};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{folder, start};
use crate::support::{Client, create};

/// Starts a server with a resolved task that cannot be read, and returns its id.
async fn unreadable(folder: &TempDir) -> (Taskcluster, String) {
    let taskcluster = start(folder).await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.cancel_task(&task_id).unwrap();
    let journal = fs::OpenOptions::new()
        .write(true)
        .open(folder.path().join("journal"));
    journal.unwrap().set_len(10).unwrap();
    (taskcluster, task_id)
}

#[tokio::test]
async fn only_listed_tasks_are_read() {
    let folder = folder();
    let (taskcluster, first) = unreadable(&folder).await;
    let second = create(&taskcluster, json!({ "taskGroupId": first }));
    let client = Client::root(&taskcluster);
    let group = format!("/api/queue/v1/task-group/{first}/list?continuationToken=1");
    let in_group = client.get(&group).await.body;
    let ids = json!({ "taskIds": [first, second] });
    let tasks = client
        .post("/api/queue/v1/tasks?continuationToken=1", ids.clone())
        .await
        .body;
    let statuses = client
        .post("/api/queue/v1/tasks/status?continuationToken=1", ids)
        .await
        .body;
    let id_of = |list: &Value, path: &str| list.pointer(path).cloned();
    let expected = Some(json!(second));
    assert_eq!(id_of(&in_group, "/tasks/0/status/taskId"), expected);
    assert_eq!(id_of(&tasks, "/tasks/0/taskId"), expected);
    assert_eq!(id_of(&statuses, "/statuses/0/taskId"), expected);
}

#[tokio::test]
async fn unreadable_task_is_not_replaced() {
    let folder = folder();
    let (taskcluster, task_id) = unreadable(&folder).await;
    let error = taskcluster
        .create_task(json!({ "taskId": task_id }))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InternalServerError, "{error}");
    let error = taskcluster.status(&task_id).unwrap_err();
    assert!(
        error
            .message
            .contains("could not be read from the data folder"),
        "{error}"
    );
}

#[tokio::test]
async fn unreadable_task_is_not_unknown() {
    let folder = folder();
    let (taskcluster, task_id) = unreadable(&folder).await;
    let client = Client::root(&taskcluster);
    let path = format!("/api/queue/v1/task/{task_id}");
    for part in ["", "/status", "/artifacts", "/artifacts/public/a"] {
        let response = client.get(&format!("{path}{part}")).await;
        assert_eq!(response.status, 500, "{part}: {:?}", response.body);
    }
    for part in ["/rerun", "/runs/0/claim"] {
        let worker = json!({ "workerGroup": "group", "workerId": "worker" });
        let body = if part == "/rerun" { json!({}) } else { worker };
        let response = client.post(&format!("{path}{part}"), body).await;
        assert_eq!(response.status, 500, "{part}: {:?}", response.body);
    }
}
