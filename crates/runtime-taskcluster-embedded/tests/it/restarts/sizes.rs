//! The size of the journal: refused calls write nothing, and no record grows until it cannot be read.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::{folder, restart, start};
use crate::support::artifacts::s3;
use crate::support::{Client, create};

#[tokio::test]
async fn each_artifact_of_a_task_costs_the_same() {
    const HALF: u64 = 100;
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    let len = || fs::metadata(folder.path().join("journal")).unwrap().len();
    let (artifact, mut lens) = (s3(&taskcluster), vec![len()]);
    for n in 0..2 * HALF {
        let name = format!("public/{n:04}");
        let declared = worker.artifact(&task_id, &name, artifact.clone()).await;
        assert_eq!(declared.status, 200, "{}", declared.message());
        if (n + 1) % HALF == 0 {
            lens.push(len());
        }
    }
    assert_eq!(lens[1] - lens[0], lens[2] - lens[1], "{lens:?}");
    let taskcluster = restart(taskcluster, &folder).await;
    let artifacts = taskcluster.artifacts(&task_id, 0).unwrap();
    let names: Vec<_> = artifacts.iter().map(|it| it.name.clone()).collect();
    let expected: Vec<_> = (0..2 * HALF).map(|n| format!("public/{n:04}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn pool_stores_recent_errors() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    taskcluster.add_static_worker("test/linux", "g", "w", "proof");
    let client = Client::root(&taskcluster);
    let path = "/api/worker-manager/v1/worker-pool-errors/test%2Flinux";
    let report = |title: String, text: String| {
        json!({
            "workerGroup": "g", "workerId": "w", "kind": "k", "title": title, "description": "d",
            "extra": { "text": text },
        })
    };
    let large = report("large".to_owned(), "x".repeat(64 * 1024));
    assert_eq!(client.post(path, large).await.status, 400);
    for n in 0..101 {
        let reported = client
            .post(path, report(n.to_string(), String::new()))
            .await;
        assert_eq!(reported.status, 200, "{:?}", reported.body);
    }
    let taskcluster = restart(taskcluster, &folder).await;
    let errors = taskcluster.worker_errors("test/linux");
    assert_eq!(errors.len(), 100);
    assert_eq!(
        (&errors[0]["title"], &errors[99]["title"]),
        (&json!("1"), &json!("100"))
    );
}

#[tokio::test]
async fn refused_calls_write_nothing() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let task_id = create(&taskcluster, json!({}));
    let root = Client::root(&taskcluster);
    let (_, worker) = root.claim_one().await;
    let declared = worker
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    assert_eq!(declared.status, 200, "{:?}", declared.body);
    let mut object = s3(&taskcluster);
    object["storageType"] = json!("object");
    let declared = worker.artifact(&task_id, "public/b", object).await;
    let upload = json!({ "uploadId": declared.body["uploadId"] });
    let len = || fs::metadata(folder.path().join("journal")).unwrap().len();
    let before = len();
    let other = json!({ "workerGroup": "group", "workerId": "other" });
    let claimed = root.run(&task_id, 0, "claim", other).await;
    assert_eq!(claimed.status, 409, "{:?}", claimed.body);
    let mut other_type = s3(&taskcluster);
    other_type["contentType"] = json!("text/html");
    let declared = worker.artifact(&task_id, "public/a", other_type).await;
    assert_eq!(declared.status, 409, "{:?}", declared.body);
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public/b");
    let finished = worker.put(&path, upload).await;
    assert_eq!(finished.status, 400, "{:?}", finished.body);
    assert_eq!(len(), before);
}

#[tokio::test]
async fn idle_polls_write_nothing() {
    let folder = folder();
    let taskcluster = start(&folder).await;
    let poll = || taskcluster.claim_work("test/linux", "group", "worker", 1);
    poll().await.unwrap();
    let len = || fs::metadata(folder.path().join("journal")).unwrap().len();
    let before = len();
    for _ in 0..3 {
        taskcluster.advance(Duration::from_secs(60));
        poll().await.unwrap();
    }
    assert_eq!(len(), before);
    let path = "/api/queue/v1/provisioners/test/worker-types/linux/workers/group/worker";
    let first = Client::root(&taskcluster).get(path).await.body;
    assert!(first["lastDateActive"].as_str() > first["firstClaim"].as_str());
    let task_id = create(&taskcluster, json!({}));
    poll().await.unwrap();
    let worker = Client::root(&taskcluster).get(path).await.body;
    let taskcluster = restart(taskcluster, &folder).await;
    let restored = Client::root(&taskcluster).get(path).await.body;
    assert_eq!(restored, worker);
    assert_eq!(restored["recentTasks"][0]["taskId"], task_id);
}
