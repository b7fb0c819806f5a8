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
async fn object_is_declared_once() {
    let (taskcluster, task_id, worker) = running().await;
    let object = json!({
        "storageType": "object", "contentType": "text/plain", "expires": later(&taskcluster, HOUR),
    });
    let response = worker.artifact(&task_id, "public/o", object.clone()).await;
    assert_eq!(response.status, 200);
    let response = worker.artifact(&task_id, "public/o", object).await;
    let part = "Internal Server Error, incidentId ";
    check("again", &response, 500, "InternalServerError", part);
}

#[tokio::test]
async fn object_with_length_cannot_be_finished() {
    let (taskcluster, task_id, worker) = running().await;
    let object = json!({
        "storageType": "object", "contentType": "text/plain", "expires": later(&taskcluster, HOUR),
        "contentLength": 1,
    });
    let made = worker.artifact(&task_id, "public/o", object).await.body;
    let uploader = worker.with_credentials(&made["credentials"]);
    let name = made["name"].as_str().unwrap().replace('/', "%2F");
    let ids = json!({ "projectId": made["projectId"], "uploadId": made["uploadId"] });
    let mut upload = ids.clone();
    upload["expires"] = made["expires"].clone();
    upload["proposedUploadMethods"] =
        json!({ "dataInline": { "contentType": "text/plain", "objectData": "YQ==" } });
    let path = format!("/api/object/v1/upload/{name}");
    assert_eq!(uploader.put(&path, upload).await.status, 200);
    let path = format!("/api/object/v1/finish-upload/{name}");
    assert_eq!(uploader.post(&path, ids).await.status, 200);
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public%2Fo");
    for _ in 0..2 {
        let finish = json!({ "uploadId": made["uploadId"] });
        let response = worker.put(&path, finish).await;
        let part = "Internal Server Error, incidentId ";
        check("finish", &response, 500, "InternalServerError", part);
    }
}

#[tokio::test]
async fn unknown_artifact_cannot_be_finished() {
    let (_taskcluster, task_id, worker) = running().await;
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public%2Fo");
    let response = worker.put(&path, json!({ "uploadId": UNKNOWN })).await;
    let part = format!("Artifact with taskId `{task_id}`, runId 0, name `public/o` not found");
    check("finish", &response, 404, "ResourceNotFound", &part);
}

#[tokio::test]
async fn conflict_describes_the_existing_artifact() {
    let (taskcluster, task_id, worker) = running().await;
    let first = s3(&taskcluster);
    worker.artifact(&task_id, "public/a", first.clone()).await;
    let mut other = first.clone();
    other["contentType"] = json!("text/html");
    let response = worker.artifact(&task_id, "public/a", other).await;
    let part = format!(
        "Artifact already exists with different properties, and none of the allowed exceptions apply: {{\n  \"storageType\": \"s3\",\n  \"contentType\": \"text/plain\",\n  \"expires\": {}\n}}",
        first["expires"]
    );
    check("conflict", &response, 409, "RequestConflict", &part);
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
