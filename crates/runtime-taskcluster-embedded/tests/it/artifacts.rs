//! Declaration and lookup of artifacts.

use std::time::Duration;

use crate::support::artifacts::{HOUR, location, running, s3};
use crate::support::{Client, create, later, start};
use runtime_taskcluster_embedded::ReadArtifactError;
use serde_json::{Value, json};

#[tokio::test]
async fn declaration_may_be_repeated_but_not_changed() {
    let (taskcluster, task_id, worker) = running().await;
    let body = s3(&taskcluster);
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", body.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", body.clone())
            .await
            .status,
        200
    );
    let mut longer = body.clone();
    longer["expires"] = json!(later(&taskcluster, HOUR * 2));
    assert_eq!(
        worker.artifact(&task_id, "public/a", longer).await.status,
        200
    );
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", body.clone())
            .await
            .status,
        409,
        "shorter"
    );
    let mut html = body;
    html["contentType"] = json!("text/html");
    assert_eq!(
        worker.artifact(&task_id, "public/a", html).await.code(),
        "RequestConflict"
    );
}

#[tokio::test]
async fn reference_may_become_a_link() {
    let (taskcluster, task_id, worker) = running().await;
    let expires = later(&taskcluster, HOUR);
    let reference = |url: &str| json!({ "storageType": "reference", "contentType": "text/plain", "url": url, "expires": expires });
    let path = format!("/api/queue/v1/task/{task_id}/artifacts/public/live.log");
    for url in ["https://example.com/1", "https://example.com/2"] {
        worker
            .artifact(&task_id, "public/live.log", reference(url))
            .await;
        assert_eq!(location(&worker.get(&path).await), url);
    }
    worker
        .artifact(
            &task_id,
            "public/backing.log",
            reference("https://example.com/3"),
        )
        .await;
    let link =
        json!({ "storageType": "link", "artifact": "public/backing.log", "expires": expires });
    assert_eq!(
        worker
            .artifact(&task_id, "public/live.log", link)
            .await
            .status,
        200
    );
    assert_eq!(location(&worker.get(&path).await), "https://example.com/3");
    let back = worker
        .artifact(
            &task_id,
            "public/live.log",
            reference("https://example.com/4"),
        )
        .await;
    assert_eq!(back.status, 409, "a link stays a link");
}

#[tokio::test]
async fn cyclic_link_is_not_found() {
    let (taskcluster, task_id, worker) = running().await;
    for (name, to) in [("public/a", "public/b"), ("public/b", "public/a")] {
        let link =
            json!({ "storageType": "link", "artifact": to, "expires": later(&taskcluster, HOUR) });
        worker.artifact(&task_id, name, link).await;
    }
    let path = format!("/api/queue/v1/task/{task_id}/artifacts/public/a");
    assert_eq!(worker.get(&path).await.status, 404);
}

#[tokio::test]
async fn error_artifact_is_a_424() {
    let (taskcluster, task_id, worker) = running().await;
    let error = json!({
        "storageType": "error", "reason": "file-missing-on-worker", "message": "no such file",
        "expires": later(&taskcluster, HOUR),
    });
    worker.artifact(&task_id, "public/a", error).await;
    let response = worker
        .get(&format!("/api/queue/v1/task/{task_id}/artifacts/public/a"))
        .await;
    assert_eq!(
        (response.status, &response.body["reason"]),
        (424, &json!("file-missing-on-worker"))
    );
    let read = taskcluster
        .read_artifact(&task_id, "public/a")
        .await
        .unwrap_err();
    assert!(matches!(
        read,
        ReadArtifactError::Elsewhere {
            storage_type: "error",
            ..
        }
    ));
}

#[tokio::test]
async fn storage_types_have_required_properties() {
    let (taskcluster, task_id, worker) = running().await;
    let expires = later(&taskcluster, HOUR);
    for body in [
        json!({ "storageType": "s3", "expires": expires }),
        json!({ "storageType": "reference", "contentType": "a/b", "expires": expires }),
        json!({ "storageType": "link", "expires": expires }),
        json!({ "storageType": "error", "reason": "odd", "message": "m", "expires": expires }),
        json!({ "storageType": "s3", "contentType": "a/b", "url": "x", "expires": expires }),
        json!({ "storageType": "bogus", "expires": expires }),
    ] {
        let response = worker.artifact(&task_id, "public/a", body.clone()).await;
        assert_eq!(
            (response.status, response.code()),
            (400, "InputValidationError"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn late_artifacts_are_accepted_after_exceptions() {
    let (taskcluster, task_id, worker) = running().await;
    worker
        .run(
            &task_id,
            0,
            "exception",
            json!({ "reason": "internal-error" }),
        )
        .await;
    // The credentials of the worker expire at about the same time, so they would not show whether
    // the queue accepts the artifact.
    let root = Client::root(&taskcluster);
    let late = || root.artifact(&task_id, "public/a", s3(&taskcluster));
    taskcluster.advance(Duration::from_secs(24 * 60));
    assert_eq!(late().await.status, 200);
    taskcluster.advance(Duration::from_secs(60));
    assert_eq!(late().await.status, 409);

    let (taskcluster, task_id, worker) = running().await;
    worker.run(&task_id, 0, "completed", json!({})).await;
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", s3(&taskcluster))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn artifact_expires_before_its_task() {
    let (taskcluster, client) = start().await;
    let expires = later(&taskcluster, HOUR * 3);
    let task_id = create(&taskcluster, json!({ "expires": expires }));
    let (_, worker) = client.claim_one().await;
    let mut body = s3(&taskcluster);
    body["expires"] = json!(later(&taskcluster, HOUR * 4));
    let response = worker.artifact(&task_id, "public/a", body).await;
    assert_eq!((response.status, response.code()), (400, "InputError"));

    worker
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    taskcluster.advance(HOUR + Duration::from_secs(1));
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public/a");
    assert_eq!(client.get(&path).await.code(), "ResourceExpired");
}

#[tokio::test]
async fn artifacts_are_listed_in_pages() {
    let (taskcluster, task_id, worker) = running().await;
    for name in ["public/c", "public/a", "public/b"] {
        worker.artifact(&task_id, name, s3(&taskcluster)).await;
    }
    let path = format!("/api/queue/v1/task/{task_id}/artifacts");
    let first = worker.get(&format!("{path}?limit=2")).await.body;
    let token = first["continuationToken"].as_str().unwrap();
    let second = worker
        .get(&format!("{path}?limit=2&continuationToken={token}"))
        .await
        .body;
    let names = |page: &Value| -> Vec<String> {
        let entries = page["artifacts"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&first), ["public/a", "public/b"]);
    assert_eq!(names(&second), ["public/c"]);
    assert!(second.get("continuationToken").is_none());
}
