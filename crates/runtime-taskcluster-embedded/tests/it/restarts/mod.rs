//! State in a folder, which a new server continues.

mod full_disk;
mod journal;
mod nesting;
mod services;
mod sizes;
mod unreadable;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::artifacts::{HOUR, location, put, put_url};
use crate::support::{Client, QUEUE, create, http};
use runtime_taskcluster_embedded::{TaskState, Taskcluster};
use serde_json::json;
use tempfile::TempDir;

async fn start(folder: impl AsRef<Path>) -> Taskcluster {
    let builder = Taskcluster::builder().data_dir(folder.as_ref());
    let builder = builder.long_poll(Duration::from_millis(50));
    builder
        .start()
        .await
        .expect("a free port and an own folder")
}

/// A stop writes nothing, so that it leaves the state of a killed server.
async fn restart(taskcluster: Taskcluster, folder: impl AsRef<Path>) -> Taskcluster {
    taskcluster.stop().await;
    start(folder).await
}

/// Returns a client of another server with the same credentials.
fn moved(client: &Client, taskcluster: &Taskcluster) -> Client {
    Client::with(taskcluster, client.credentials.clone())
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[tokio::test]
async fn pending_tasks_keep_their_order() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let low = create(&taskcluster, json!({}));
    let high = create(&taskcluster, json!({ "priority": "high" }));
    let second = create(&taskcluster, json!({}));
    let taskcluster = restart(taskcluster, &folder).await;
    let client = Client::root(&taskcluster);
    let claims = client.claim(10).await;
    let ids: Vec<_> = claims.iter().map(|it| &it["status"]["taskId"]).collect();
    assert_eq!(ids, [&json!(high), &json!(low), &json!(second)]);
}

#[tokio::test]
async fn claim_survives_with_its_credentials() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let taskcluster = restart(taskcluster, &folder).await;
    let worker = moved(&worker, &taskcluster);
    let reclaimed = worker.run(&task_id, 0, "reclaim", json!({})).await;
    assert_eq!(reclaimed.status, 200, "{:?}", reclaimed.body);
    let worker = worker.with_credentials(&reclaimed.body["credentials"]);
    let taskcluster = restart(taskcluster, &folder).await;
    let worker = moved(&worker, &taskcluster);
    let resolved = worker.run(&task_id, 0, "completed", json!({})).await;
    assert_eq!(resolved.status, 200, "{:?}", resolved.body);
}

#[tokio::test]
async fn restored_claim_expires() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    Client::root(&taskcluster).claim_one().await;
    let taskcluster = restart(taskcluster, &folder).await;
    taskcluster.advance(HOUR / 2);
    let status = taskcluster.status(&task_id).unwrap();
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!(status.state, TaskState::Pending);
    taskcluster.advance(HOUR * 24);
    let status = taskcluster.status(&task_id).unwrap();
    assert_eq!(status.reason_resolved(), Some("deadline-exceeded"));
}

#[tokio::test]
async fn queue_counts_survive() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    create(&taskcluster, json!({}));
    Client::root(&taskcluster).claim_one().await;
    create(&taskcluster, json!({}));
    let taskcluster = restart(taskcluster, &folder).await;
    let path = "/api/queue/v1/task-queues/test%2Flinux/counts";
    let counts = Client::root(&taskcluster).get(path).await.body;
    assert_eq!(
        (&counts["pendingTasks"], &counts["claimedTasks"]),
        (&json!(1), &json!(1))
    );
    let workers = "/api/queue/v1/provisioners/test/worker-types/linux/workers";
    let workers = Client::root(&taskcluster).get(workers).await.body;
    assert_eq!(workers["workers"][0]["workerId"], "worker");
}

#[tokio::test]
async fn resolved_task_keeps_runs_and_artifacts() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({ "payload": { "command": ["true"] } }));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    let headers = [
        ("content-type", "text/x"),
        ("content-disposition", "caf\u{e9}"),
    ];
    put(&url, &headers, b"old".to_vec()).await;
    put(&url, &headers, b"data".to_vec()).await;
    worker.run(&task_id, 0, "failed", json!({})).await;
    let view = |taskcluster: &Taskcluster| {
        let artifacts = taskcluster.artifacts(&task_id, 0).unwrap();
        let task = taskcluster.task(&task_id).unwrap();
        (taskcluster.status(&task_id).unwrap(), task, artifacts)
    };
    let before = view(&taskcluster);
    let taskcluster = restart(taskcluster, &folder).await;
    assert_eq!(view(&taskcluster), before);
    let path = format!("/api/queue/v1/task/{task_id}/artifacts/public/a");
    let found = location(&Client::anonymous(&taskcluster).get(&path).await);
    let got = http().get(found).send().await.unwrap();
    for (name, value) in headers {
        assert_eq!(got.headers()[name], value);
    }
    assert_eq!(got.bytes().await.unwrap(), "data");
    let files = fs::read_dir(folder.path().join("artifacts")).unwrap();
    assert_eq!(files.count(), 1, "the replaced file is removed");
}

#[tokio::test]
async fn resolved_task_can_be_rerun() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.cancel_task(&task_id).unwrap();
    let taskcluster = restart(taskcluster, &folder).await;
    let client = Client::root(&taskcluster);
    let path = format!("/api/queue/v1/task/{task_id}/rerun");
    assert_eq!(client.post(&path, json!({})).await.status, 200);
    let taskcluster = restart(taskcluster, &folder).await;
    let (claim, _) = Client::root(&taskcluster).claim_one().await;
    assert_eq!(claim["runId"], 1);
}

#[tokio::test]
async fn dependents_wait_across_a_restart() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let first = create(&taskcluster, json!({}));
    let second = create(&taskcluster, json!({ "dependencies": [first] }));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let taskcluster = restart(taskcluster, &folder).await;
    assert_eq!(
        taskcluster.status(&second).unwrap().state,
        TaskState::Unscheduled
    );
    let worker = moved(&worker, &taskcluster);
    worker.run(&first, 0, "completed", json!({})).await;
    assert_eq!(
        taskcluster.status(&second).unwrap().state,
        TaskState::Pending
    );
    let taskcluster = restart(taskcluster, &folder).await;
    // The dependency is resolved and no longer in memory.
    let third = create(&taskcluster, json!({ "dependencies": [first] }));
    assert_eq!(
        taskcluster.status(&third).unwrap().state,
        TaskState::Pending
    );
    let path = format!("/api/queue/v1/task/{first}/dependents");
    let found = Client::root(&taskcluster).get(&path).await.body;
    let found = found["tasks"].as_array().unwrap().iter();
    let found: Vec<_> = found.map(|task| &task["status"]["taskId"]).collect();
    assert_eq!(found, [&json!(second), &json!(third)]);
}

#[tokio::test]
async fn group_stays_sealed_and_in_order() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let first = create(&taskcluster, json!({}));
    let group = json!({ "taskGroupId": first });
    let second = create(&taskcluster, group.clone());
    taskcluster.cancel_task(&first).unwrap();
    let path = format!("/api/queue/v1/task-group/{first}");
    let client = Client::root(&taskcluster);
    let sealed = client.post(&format!("{path}/seal"), json!({})).await;
    let taskcluster = restart(taskcluster, &folder).await;
    let client = Client::root(&taskcluster);
    let listed = client.get(&format!("{path}/list")).await.body;
    assert_eq!(listed["sealed"], sealed.body["sealed"]);
    let ids = listed["tasks"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|task| &task["status"]["taskId"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
    let mut task = group;
    task["taskQueueId"] = json!(QUEUE);
    taskcluster.create_task(task).unwrap_err();
}

#[tokio::test]
async fn upload_url_survives() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let url = put_url(&taskcluster, &task_id, &worker, "public/a").await;
    let old = taskcluster.root_url().to_owned();
    // A part of an upload that was never complete, and a file of somebody else.
    let artifacts = folder.path().join("artifacts");
    fs::write(artifacts.join("CFAKnfgiTSGBc9lIjR5CnQ"), "part").unwrap();
    fs::write(artifacts.join("notes.txt"), "mine").unwrap();
    let taskcluster = restart(taskcluster, &folder).await;
    let url = url.replace(&old, taskcluster.root_url());
    assert_eq!(put(&url, &[], b"data".to_vec()).await.status(), 200);
    let stored = taskcluster.read_artifact(&task_id, "public/a").await;
    assert_eq!(stored.unwrap().bytes, b"data");
    assert!(artifacts.join("notes.txt").exists());
    assert_eq!(fs::read_dir(&artifacts).unwrap().count(), 2);
}
