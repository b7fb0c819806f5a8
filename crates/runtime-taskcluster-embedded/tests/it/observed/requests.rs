//! Errors: unknown tasks, malformed requests, wrong credentials.

use super::*;

#[tokio::test]
async fn unknown_task_errors_differ_by_method() {
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
        let response = root
            .send(verb, &format!("{task}{path}"), body, Forgery::default())
            .await;
        check(path, &response, status, code, part);
    }
}

#[tokio::test]
async fn parameters_are_repeated_as_strings() {
    let (taskcluster, task_id, _) = running().await;
    let root = Client::root(&taskcluster);
    let response = root.run(&task_id, 5, "reclaim", json!({})).await;
    check(
        "reclaim",
        &response,
        404,
        "ResourceNotFound",
        &format!("Run 5 not found on task `{task_id}`."),
    );
    assert_eq!(
        response.body["requestInfo"]["params"],
        json!({ "taskId": task_id, "runId": "5" })
    );
}

#[tokio::test]
async fn malformed_requests_are_rejected() {
    let (taskcluster, root) = start().await;
    let response = root.get("/api/queue/v1/nothing").await;
    assert_eq!(
        (response.status, &response.body["error"]),
        (404, &json!("Not found"))
    );
    assert!(response.body.get("code").is_none());
    let wrong_verb = root.post("/api/queue/v1/ping", json!({})).await;
    assert_eq!(
        (wrong_verb.status, &wrong_verb.body["error"]),
        (404, &json!("Not found"))
    );

    let response = root.get("/api/queue/v1/task/not-a-slugid").await;
    check(
        "slug",
        &response,
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
        let mut request = crate::support::http().put(&url).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let text = request.send().await.unwrap().text().await.unwrap();
        let response: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(response["code"], "MalformedPayload");
        assert!(
            response["message"].as_str().unwrap().contains(part),
            "{response}"
        );
    }
    let response = root
        .put(
            &format!("/api/queue/v1/task/{UNKNOWN}"),
            json!("x".repeat(11 << 20)),
        )
        .await;
    assert_eq!(
        (response.status, response.code()),
        (500, "InternalServerError")
    );
}

#[tokio::test]
async fn wrong_and_missing_credentials_differ() {
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
        let response = client
            .get(&format!("/api/queue/v1/task/{UNKNOWN}/status"))
            .await;
        check(part, &response, 401, "AuthenticationFailed", part);
        assert_eq!(response.headers["www-authenticate"], "hawk");
        assert_eq!(client.get("/api/queue/v1/ping").await.status, 200);
    }
}

#[tokio::test]
async fn authenticate_hawk_reports_failure_as_200() {
    let (_taskcluster, root) = start().await;
    let body = json!({
        "method": "get", "resource": "/x", "host": "example.com", "port": 443,
        "authorization": "Hawk id=\"none\", ts=\"1\", nonce=\"a\", mac=\"bWFj\"",
    });
    let response = root
        .send(
            Method::POST,
            "/api/auth/v1/authenticate-hawk",
            Some(body),
            Forgery::default(),
        )
        .await;
    assert_eq!(
        (response.status, &response.body["status"]),
        (200, &json!("auth-failed"))
    );
    assert!(response.body["message"].is_string());
}
