//! Claims and cancelled runs.

use super::*;

#[tokio::test]
async fn claim_has_credentials_and_two_time_formats() {
    let (taskcluster, root) = start().await;
    let task_id = create(&taskcluster, json!({ "scopes": ["secrets:get:a"] }));
    let (claim, worker) = root.claim_one().await;
    let taken_until = claim["takenUntil"].as_str().unwrap();
    let in_status = claim["status"]["runs"][0]["takenUntil"].as_str().unwrap();
    assert!(
        taken_until.ends_with("+00:00") && in_status.ends_with('Z'),
        "{claim}"
    );
    let instant = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(instant(taken_until), instant(in_status));

    let credentials = &claim["credentials"];
    let id = credentials["clientId"].as_str().unwrap();
    let prefix = format!("task-client/{task_id}/0/on/group/worker/until/");
    let until = id.strip_prefix(&prefix).unwrap_or_else(|| panic!("{id}"));
    assert_eq!(
        until.parse::<f64>().unwrap(),
        instant(in_status).as_millisecond() as f64 / 1000.0
    );
    let certificate: Value =
        serde_json::from_str(credentials["certificate"].as_str().unwrap()).unwrap();
    let scopes = [
        "queue:reclaim-task",
        "queue:resolve-task",
        "queue:create-artifact",
    ];
    let mut scopes: Vec<_> = scopes
        .iter()
        .map(|scope| format!("{scope}:{task_id}/0"))
        .collect();
    scopes.push("secrets:get:a".to_owned());
    assert_eq!(certificate["scopes"], json!(scopes));
    assert_eq!(certificate["expiry"], instant(in_status).as_millisecond());

    let reclaim = worker.run(&task_id, 0, "reclaim", json!({})).await;
    assert_eq!(reclaim.status, 200);
    assert!(reclaim.body.get("task").is_none() && reclaim.body["credentials"].is_object());
    assert!(reclaim.body["takenUntil"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        worker.run(&task_id, 0, "reclaim", json!({})).await.status,
        200,
        "the previous credentials stay valid"
    );
}

#[tokio::test]
async fn reclaim_requires_the_credentials_of_the_claim() {
    let (taskcluster, root) = start().await;
    let task_id = create(&taskcluster, json!({}));
    root.claim(1).await;
    let scopes = [
        format!("queue:claim-work:{QUEUE}"),
        "queue:worker-id:group/worker".to_owned(),
    ];
    let scopes = scopes.each_ref().map(String::as_str);
    let credentials = taskcluster.temporary_credentials("worker", &scopes, HOUR);
    let worker = Client::with(&taskcluster, Some(credentials));
    let response = worker.run(&task_id, 0, "reclaim", json!({})).await;
    check(
        "reclaim",
        &response,
        403,
        "InsufficientScopes",
        "Client ID worker does not have sufficient scopes",
    );
    let body = json!({ "workerGroup": "group", "workerId": "worker", "tasks": 33 });
    let response = worker
        .post("/api/queue/v1/claim-work/test%2Flinux", body)
        .await;
    check(
        "33",
        &response,
        400,
        "InputValidationError",
        "Schema Validation Failed!",
    );
    let body = json!({ "workerGroup": "group", "workerId": "other", "tasks": 1 });
    let response = worker
        .post("/api/queue/v1/claim-work/test%2Flinux", body)
        .await;
    check(
        "other",
        &response,
        403,
        "InsufficientScopes",
        "queue:worker-id:group/other",
    );
}

#[tokio::test]
async fn cancelled_run_accepts_only_artifacts() {
    let (taskcluster, task_id, worker) = running().await;
    taskcluster.cancel_task(&task_id).unwrap();
    let conflict = "RequestConflict";
    let response = worker.run(&task_id, 0, "reclaim", json!({})).await;
    let resolved = format!("Run 0 on task `{task_id}` is resolved or not running.");
    check("reclaim", &response, 409, conflict, &resolved);
    let response = worker.run(&task_id, 0, "completed", json!({})).await;
    let resolved = format!("Run 0 of task `{task_id}` is not running or completed.");
    check("completed", &response, 409, conflict, &resolved);
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", s3(&taskcluster))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn reclaim_of_a_pending_run_is_unexpected() {
    let (taskcluster, root) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let response = root.run(&task_id, 0, "reclaim", json!({})).await;
    let part = "Internal Server Error, incidentId ";
    check("reclaim", &response, 500, "InternalServerError", part);
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn cancelling_a_completed_task_changes_nothing() {
    let (taskcluster, task_id, worker) = running().await;
    worker.run(&task_id, 0, "completed", json!({})).await;
    let before = taskcluster.status(&task_id).unwrap();
    let root = Client::root(&taskcluster);
    let response = root
        .post(&format!("/api/queue/v1/task/{task_id}/cancel"), json!({}))
        .await;
    assert_eq!(response.status, 200);
    assert_eq!(taskcluster.status(&task_id).unwrap(), before);
    let response = worker
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    check(
        "artifact",
        &response,
        409,
        "RequestConflict",
        "Artifacts cannot be created for a task after it is resolved",
    );
}
