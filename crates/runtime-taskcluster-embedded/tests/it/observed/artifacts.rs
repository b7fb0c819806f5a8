//! Artifacts of each storage type.

use super::*;

#[tokio::test]
async fn artifacts_respond_by_storage_type() {
    let (taskcluster, task_id, worker) = running().await;
    let expires = later(&taskcluster, HOUR);
    let first = put_url(&taskcluster, &task_id, &worker, "public/a.txt").await;
    put(&first, &[("content-type", "text/plain")], b"a".to_vec()).await;
    let name = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public/a.txt");
    let response = worker.put(&name, json!({ "uploadId": UNKNOWN })).await;
    check(
        "finish",
        &response,
        400,
        "InputError",
        "Only object artifacts can be finished",
    );

    let link = json!({ "storageType": "link", "artifact": "public/a.txt", "expires": expires });
    let error = json!({
        "storageType": "error", "reason": "file-missing-on-worker", "message": "none", "expires": expires,
    });
    for (name, body) in [("public/link", link), ("public/error", error)] {
        let response = worker.artifact(&task_id, name, body.clone()).await;
        assert_eq!(
            (response.status, &response.body),
            (200, &json!({ "storageType": body["storageType"] }))
        );
    }
    let root = Client::root(&taskcluster);
    let list = root
        .get(&format!("/api/queue/v1/task/{task_id}/runs/0/artifacts"))
        .await;
    let kinds: Vec<_> = list.body["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| {
            (
                artifact["name"].as_str().unwrap(),
                artifact["contentType"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("public/a.txt", "text/plain"),
            ("public/error", "application/binary"),
            ("public/link", "application/binary"),
        ]
    );
    for name in ["public/a.txt", "public%2Fa.txt", "public/link"] {
        let response = root
            .get(&format!(
                "/api/queue/v1/task/{task_id}/runs/0/artifacts/{name}"
            ))
            .await;
        assert_eq!(
            (response.status, &response.body["storageType"]),
            (303, &json!("s3")),
            "{name}"
        );
        assert_eq!(
            response.headers["x-taskcluster-artifact-storage-type"],
            "s3"
        );
        assert_eq!(
            response.headers["location"],
            response.body["url"].as_str().unwrap()
        );
    }
    let response = root
        .get(&format!(
            "/api/queue/v1/task/{task_id}/runs/0/artifacts/public/error"
        ))
        .await;
    assert_eq!(
        (response.status, &response.body["reason"]),
        (424, &json!("file-missing-on-worker"))
    );
    let response = root
        .get(&format!(
            "/api/queue/v1/task/{task_id}/artifact-content/public/error"
        ))
        .await;
    assert_eq!(
        (response.status, &response.body["storageType"]),
        (200, &json!("error"))
    );
}

#[tokio::test]
async fn invalid_artifacts_are_rejected() {
    let (taskcluster, task_id, worker) = running().await;
    let mut late = s3(&taskcluster);
    late["expires"] = json!(later(&taskcluster, HOUR * 24 * 400));
    let response = worker.artifact(&task_id, "public/a", late).await;
    check(
        "late",
        &response,
        400,
        "InputError",
        "after the task expiration",
    );
    let mut odd = s3(&taskcluster);
    odd["storageType"] = json!("blob");
    let response = worker.artifact(&task_id, "public/a", odd).await;
    check(
        "odd",
        &response,
        400,
        "InputValidationError",
        "Schema Validation Failed!",
    );
}
