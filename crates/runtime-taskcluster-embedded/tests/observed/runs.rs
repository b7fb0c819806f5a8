//! Claims, and runs that somebody else ended.

use super::*;

#[tokio::test]
async fn a_claim_spells_its_end_in_two_ways_and_brings_credentials_of_the_run() {
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
        "the old ones work on"
    );
}

#[tokio::test]
async fn only_the_credentials_of_a_claim_keep_it() {
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
    let answer = worker.run(&task_id, 0, "reclaim", json!({})).await;
    check(
        "reclaim",
        &answer,
        403,
        "InsufficientScopes",
        "Client ID worker does not have sufficient scopes",
    );
    let body = json!({ "workerGroup": "group", "workerId": "worker", "tasks": 33 });
    let answer = worker
        .post("/api/queue/v1/claim-work/test%2Flinux", body)
        .await;
    check(
        "33",
        &answer,
        400,
        "InputValidationError",
        "Schema Validation Failed!",
    );
    let body = json!({ "workerGroup": "group", "workerId": "other", "tasks": 1 });
    let answer = worker
        .post("/api/queue/v1/claim-work/test%2Flinux", body)
        .await;
    check(
        "other",
        &answer,
        403,
        "InsufficientScopes",
        "queue:worker-id:group/other",
    );
}

#[tokio::test]
async fn a_run_that_somebody_else_resolved_is_a_conflict_and_takes_artifacts_for_a_while() {
    let (taskcluster, task_id, worker) = running().await;
    taskcluster.cancel_task(&task_id).unwrap();
    let conflict = "RequestConflict";
    let answer = worker.run(&task_id, 0, "reclaim", json!({})).await;
    let resolved = format!("Run 0 on task `{task_id}` is resolved or not running.");
    check("reclaim", &answer, 409, conflict, &resolved);
    let answer = worker.run(&task_id, 0, "completed", json!({})).await;
    let resolved = format!("Run 0 of task `{task_id}` is not running or completed.");
    check("completed", &answer, 409, conflict, &resolved);
    assert_eq!(
        worker
            .artifact(&task_id, "public/a", s3(&taskcluster))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn cancelling_a_completed_task_changes_nothing() {
    let (taskcluster, task_id, worker) = running().await;
    worker.run(&task_id, 0, "completed", json!({})).await;
    let before = taskcluster.status(&task_id).unwrap();
    let root = Client::root(&taskcluster);
    let answer = root
        .post(&format!("/api/queue/v1/task/{task_id}/cancel"), json!({}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(taskcluster.status(&task_id).unwrap(), before);
    let answer = worker
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    check(
        "artifact",
        &answer,
        409,
        "RequestConflict",
        "Artifacts cannot be created for a task after it is resolved",
    );
}
