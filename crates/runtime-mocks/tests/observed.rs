//! What a running Taskcluster v106 was seen to answer, request by request, and ours answers too.
#![cfg(feature = "taskcluster")]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::artifacts::{HOUR, put, put_url, running, s3};
use support::{Answer, Client, Forgery, QUEUE, create, later, start};

const UNKNOWN: &str = "CFAKnfgiTSGBc9lIjR5CnQ";

/// Checks status, code, a part of the message, and the frame that all refusals share.
fn check(what: &str, answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!(
        (answer.status, answer.code()),
        (status, code),
        "{what}: {:?}",
        answer.body
    );
    assert!(
        answer.message().contains(part),
        "{what}: {}",
        answer.message()
    );
    let info = &answer.body["requestInfo"];
    let method = info["method"].as_str().unwrap_or_default();
    let trailer = format!(
        "\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {status}\n* time:       {}",
        info["time"].as_str().unwrap_or_default()
    );
    assert!(
        answer.message().ends_with(&trailer),
        "{what}: {}",
        answer.message()
    );
    assert!(
        info["params"].is_object() && info.get("payload").is_some(),
        "{what}: {info}"
    );
}

#[tokio::test]
async fn unknown_tasks_are_refused_by_each_method_in_its_own_way() {
    let (taskcluster, root) = start().await;
    let task = format!("/api/queue/v1/task/{UNKNOWN}");
    let not_found = "ResourceNotFound";
    for (verb, path, status, code, part) in [
        (
            "GET",
            "",
            404,
            not_found,
            "does not correspond to a task that exists",
        ),
        (
            "GET",
            "/status",
            404,
            not_found,
            "does not correspond to a task that exists",
        ),
        (
            "POST",
            "/runs/0/reclaim",
            404,
            not_found,
            "Are you sure it was created?",
        ),
        (
            "POST",
            "/runs/0/completed",
            404,
            not_found,
            "Are you sure it was created?",
        ),
        (
            "POST",
            "/runs/0/artifacts/public%2Fa",
            400,
            "InputError",
            "Task not found",
        ),
        (
            "GET",
            "/runs/0/artifacts/public%2Fa",
            404,
            not_found,
            "Artifact not found",
        ),
        (
            "GET",
            "/artifacts/public%2Fa",
            404,
            not_found,
            "Task not found",
        ),
        ("GET", "/runs/0/artifacts", 404, not_found, "Task not found"),
    ] {
        let body = path
            .contains("artifacts")
            .then(|| s3(&taskcluster))
            .unwrap_or(json!({}));
        let body = (verb == "POST").then_some(body);
        let verb = verb.parse().unwrap();
        let answer = root
            .send(verb, &format!("{task}{path}"), body, Forgery::default())
            .await;
        check(path, &answer, status, code, part);
    }
}

#[tokio::test]
async fn parameters_are_told_back_as_texts() {
    let (taskcluster, task_id, _) = running().await;
    let root = Client::root(&taskcluster);
    let answer = root.run(&task_id, 5, "reclaim", json!({})).await;
    check(
        "reclaim",
        &answer,
        404,
        "ResourceNotFound",
        &format!("Run 5 not found on task `{task_id}`."),
    );
    assert_eq!(
        answer.body["requestInfo"]["params"],
        json!({ "taskId": task_id, "runId": "5" })
    );
}

#[tokio::test]
async fn what_is_no_request_of_a_method_is_refused() {
    let (taskcluster, root) = start().await;
    let answer = root.get("/api/queue/v1/nothing").await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (404, &json!("Not found"))
    );
    assert!(answer.body.get("code").is_none());
    let wrong_verb = root.post("/api/queue/v1/ping", json!({})).await;
    assert_eq!(
        (wrong_verb.status, &wrong_verb.body["error"]),
        (404, &json!("Not found"))
    );

    let answer = root.get("/api/queue/v1/task/not-a-slugid").await;
    check(
        "slug",
        &answer,
        400,
        "InvalidRequestArguments",
        "URL parameter 'taskId' given as 'not-a-slugid'",
    );

    let url = format!("{}/api/queue/v1/task/{UNKNOWN}", taskcluster.root_url());
    for (kind, body, part) in [
        (Some("application/json"), "{\"a\":", "Failed to parse JSON"),
        (Some("text/plain"), "{}", "got content-type: text/plain"),
        (None, "{}", "got content-type: null"),
    ] {
        let mut request = support::http().put(&url).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["code"], "MalformedPayload");
        assert!(
            answer["message"].as_str().unwrap().contains(part),
            "{answer}"
        );
    }
    let answer = root
        .put(
            &format!("/api/queue/v1/task/{UNKNOWN}"),
            json!("x".repeat(11 << 20)),
        )
        .await;
    assert_eq!((answer.status, answer.code()), (500, "InternalServerError"));
}

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

#[tokio::test]
async fn artifacts_answer_by_their_kind() {
    let (taskcluster, task_id, worker) = running().await;
    let expires = later(&taskcluster, HOUR);
    let first = put_url(&taskcluster, &task_id, &worker, "public/a.txt").await;
    put(&first, &[("content-type", "text/plain")], b"a".to_vec()).await;
    let name = format!("/api/queue/v1/task/{task_id}/runs/0/artifacts/public/a.txt");
    let answer = worker.put(&name, json!({ "uploadId": UNKNOWN })).await;
    check(
        "finish",
        &answer,
        400,
        "InputError",
        "Only object artifacts can be finished",
    );

    let link = json!({ "storageType": "link", "artifact": "public/a.txt", "expires": expires });
    let error = json!({
        "storageType": "error", "reason": "file-missing-on-worker", "message": "none", "expires": expires,
    });
    for (name, body) in [("public/link", link), ("public/error", error)] {
        let answer = worker.artifact(&task_id, name, body.clone()).await;
        assert_eq!(
            (answer.status, &answer.body),
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
        let answer = root
            .get(&format!(
                "/api/queue/v1/task/{task_id}/runs/0/artifacts/{name}"
            ))
            .await;
        assert_eq!(
            (answer.status, &answer.body["storageType"]),
            (303, &json!("s3")),
            "{name}"
        );
        assert_eq!(answer.headers["x-taskcluster-artifact-storage-type"], "s3");
        assert_eq!(
            answer.headers["location"],
            answer.body["url"].as_str().unwrap()
        );
    }
    let answer = root
        .get(&format!(
            "/api/queue/v1/task/{task_id}/runs/0/artifacts/public/error"
        ))
        .await;
    assert_eq!(
        (answer.status, &answer.body["reason"]),
        (424, &json!("file-missing-on-worker"))
    );
    let answer = root
        .get(&format!(
            "/api/queue/v1/task/{task_id}/artifact-content/public/error"
        ))
        .await;
    assert_eq!(
        (answer.status, &answer.body["storageType"]),
        (200, &json!("error"))
    );
}

#[tokio::test]
async fn an_artifact_may_not_outlive_its_task_nor_be_of_an_unknown_kind() {
    let (taskcluster, task_id, worker) = running().await;
    let mut late = s3(&taskcluster);
    late["expires"] = json!(later(&taskcluster, HOUR * 24 * 400));
    let answer = worker.artifact(&task_id, "public/a", late).await;
    check(
        "late",
        &answer,
        400,
        "InputError",
        "after the task expiration",
    );
    let mut odd = s3(&taskcluster);
    odd["storageType"] = json!("blob");
    let answer = worker.artifact(&task_id, "public/a", odd).await;
    check(
        "odd",
        &answer,
        400,
        "InputValidationError",
        "Schema Validation Failed!",
    );
}

#[tokio::test]
async fn authentication_fails_where_credentials_are_wrong_and_not_where_they_are_absent() {
    let (taskcluster, _) = start().await;
    let artifact = "/api/queue/v1/task/CFAKnfgiTSGBc9lIjR5CnQ/runs/0/artifacts/private/a";
    let anonymous = Client::anonymous(&taskcluster).get(artifact).await;
    check(
        "anonymous",
        &anonymous,
        403,
        "InsufficientScopes",
        "requires Taskcluster credentials that satisfy",
    );

    let unknown = runtime_core::Credentials::new("no/such/client", "x");
    let wrong = runtime_core::Credentials::new(taskcluster.credentials().client_id, "x");
    for (credentials, part) in [
        (unknown, "Client with clientId 'no/such/client' not found"),
        (wrong, "Unauthorized: Bad mac"),
    ] {
        let client = Client::with(&taskcluster, Some(credentials));
        let answer = client
            .get(&format!("/api/queue/v1/task/{UNKNOWN}/status"))
            .await;
        check(part, &answer, 401, "AuthenticationFailed", part);
        assert_eq!(answer.headers["www-authenticate"], "hawk");
        assert_eq!(client.get("/api/queue/v1/ping").await.status, 200);
    }
}

#[tokio::test]
async fn a_broken_signature_is_told_to_other_services_with_a_200() {
    let (_taskcluster, root) = start().await;
    let body = json!({
        "method": "get", "resource": "/x", "host": "example.com", "port": 443,
        "authorization": "Hawk id=\"none\", ts=\"1\", nonce=\"a\", mac=\"bWFj\"",
    });
    let answer = root
        .send(
            Method::POST,
            "/api/auth/v1/authenticate-hawk",
            Some(body),
            Forgery::default(),
        )
        .await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("auth-failed"))
    );
    assert!(answer.body["message"].is_string());
}
