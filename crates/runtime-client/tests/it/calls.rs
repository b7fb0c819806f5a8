//! Calls and every kind of response, including none.

use std::time::Duration;

use crate::support::{ReceivedRequest, Reply, Server, fast_retries};
use runtime_client::TaskclusterDeployment;
use runtime_core::queue::{ArtifactRequest, Queue, ResolvedReason, TaskState};
use runtime_core::{
    ApiError, Credentials, CredentialsCell, CredentialsWatch, ExceptionReason, Run, TaskId,
    Timestamp, error_chain,
};
use serde_json::{Value, json};

const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

pub(crate) fn task_id() -> TaskId {
    TASK.parse().expect("a task id")
}

fn run() -> Run {
    Run {
        task_id: task_id(),
        run_id: 0,
    }
}

pub(crate) fn status() -> Value {
    json!({ "status": { "taskId": TASK, "state": "running", "retriesLeft": 5, "runs": [], "later": [1] } })
}

pub(crate) fn signed() -> CredentialsWatch {
    CredentialsWatch::fixed(Some(Credentials::new("worker", "secret")))
}

/// Requests the status of a task. Returns the result and the requests.
pub(crate) async fn ask(
    answer: impl Fn(usize, &ReceivedRequest) -> Reply + Send + Sync + 'static,
) -> (Result<TaskState, ApiError>, Vec<ReceivedRequest>) {
    let server = Server::start(answer).await;
    let client = server.deployment().client(signed());
    let outcome = client.status(&task_id()).await;
    (outcome.map(|status| status.state), server.requests())
}

/// As [`ask`], from a server that fails `times` times.
async fn ask_after(
    times: usize,
    failure: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Result<TaskState, ApiError>, Vec<ReceivedRequest>) {
    ask(move |number, _| {
        if number < times {
            failure()
        } else {
            Reply::json(200, status())
        }
    })
    .await
}

fn nonce(request: &ReceivedRequest) -> String {
    let header = request.header("authorization");
    let (_, rest) = header.split_once("nonce=\"").expect("a nonce");
    rest.split('"').next().expect("its end").to_owned()
}

#[tokio::test]
async fn unknown_response_fields_are_ignored() {
    let (outcome, requests) = ask(|_, _| Reply::json(200, status())).await;
    assert_eq!(outcome.expect("success"), TaskState::Running);
    assert_eq!(
        requests[0].target,
        format!("/api/queue/v1/task/{TASK}/status")
    );
    assert!(
        requests[0]
            .header("authorization")
            .starts_with("Hawk id=\"worker\"")
    );
    assert!(
        requests[0]
            .header("user-agent")
            .starts_with("runtime-client/")
    );
}

#[tokio::test]
async fn server_errors_are_retried_with_new_signature() {
    for status in [500, 502, 503, 504, 429, 408] {
        let (outcome, requests) =
            ask_after(2, move || Reply::text(status, "<html>oops</html>")).await;
        outcome.expect("the third attempt");
        assert_eq!(requests.len(), 3, "{status}");
        assert_ne!(nonce(&requests[0]), nonce(&requests[1]));
    }
}

#[tokio::test]
async fn broken_connections_are_retried() {
    let (outcome, requests) = ask_after(2, || Reply::Hangup).await;
    outcome.expect("the third attempt");
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn truncated_response_is_retried() {
    let (outcome, requests) = ask_after(1, || Reply::Truncated(status().to_string().into())).await;
    outcome.expect("the second attempt");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn client_errors_are_final() {
    for status in [400, 403, 404, 409, 410, 424] {
        let (outcome, requests) = ask(move |_, _| {
            let body = json!({ "code": "TheCode", "message": "why\n\n---\n\n* method: status", "requestInfo": {} });
            Reply::json(status, body).with("x-for-request-id", "request-1").with("x-for-trace-id", "trace-1")
        })
        .await;
        let ApiError::Service(error) = outcome.expect_err("a refusal") else {
            panic!("not of the service")
        };
        assert_eq!(
            (error.status, &*error.code, &*error.message),
            (status, "TheCode", "why")
        );
        assert_eq!(
            (error.request_id.as_deref(), error.trace_id.as_deref()),
            (Some("request-1"), Some("trace-1"))
        );
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (outcome, requests) = ask(|_, _| Reply::text(303, "").with("location", "/elsewhere")).await;
    assert_eq!(
        outcome.expect_err("a redirect is no answer").status(),
        Some(303)
    );
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn invalid_json_is_unexpected_response() {
    for body in ["<html>welcome</html>", "", "{}", "[1]"] {
        let (outcome, requests) = ask(move |_, _| Reply::text(200, body)).await;
        let error = outcome.expect_err("not a status");
        assert!(
            matches!(
                error,
                ApiError::Unexpected {
                    method: "queue.status",
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn zero_budget_allows_one_attempt() {
    let server = Server::start(|_, _| Reply::text(500, "")).await;
    let deployment = server.deployment_with(|settings| settings.retry.budget = Duration::ZERO);
    let error = deployment
        .client(signed())
        .status(&task_id())
        .await
        .expect_err("always fails");
    assert!(error.is_transient() && error.status() == Some(500));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn retry_after_beyond_budget_fails_at_once() {
    let (outcome, requests) = ask(|_, _| Reply::text(503, "").with("retry-after", "86400")).await;
    assert_eq!(outcome.expect_err("refused").status(), Some(503));
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn refused_connection_is_unreachable() {
    let url = Server::start(|_, _| Reply::NoResponse).await.url.clone();
    let mut settings = fast_retries();
    settings.retry.budget = Duration::from_secs(1);
    let deployment =
        TaskclusterDeployment::with_settings(&url, settings).expect("a valid root URL");
    let error = deployment
        .client(signed())
        .status(&task_id())
        .await
        .expect_err("no server");
    let ApiError::Unreachable {
        method: "queue.status",
        attempts,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(attempts > 1);
    assert!(error.is_transient());
}

#[tokio::test]
async fn request_timeout_ends_an_attempt() {
    let server = Server::start(|number, _| {
        if number == 0 {
            Reply::NoResponse
        } else {
            Reply::json(200, status())
        }
    })
    .await;
    let deployment =
        server.deployment_with(|settings| settings.request_timeout = Duration::from_millis(100));
    deployment
        .client(signed())
        .status(&task_id())
        .await
        .expect("the second attempt");
}

#[tokio::test]
async fn call_waits_for_new_credentials_after_401() {
    let server = Server::start(|_, request| {
        if request.header("authorization").contains("id=\"new\"") {
            Reply::json(200, status())
        } else {
            Reply::json(
                401,
                json!({ "code": "AuthenticationFailed", "message": "expired" }),
            )
        }
    })
    .await;
    let cell = CredentialsCell::new(Some(Credentials::new("old", "t")));
    let client = server.deployment().client(cell.watch());
    let call = tokio::spawn(async move { client.status(&task_id()).await });
    server.wait_for_requests(1).await;
    cell.set(Credentials::new("new", "t"));
    call.await
        .expect("no panic")
        .expect("the new credentials are good");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn fixed_credentials_make_401_final() {
    let (outcome, requests) = ask(|_, _| Reply::text(401, "")).await;
    assert_eq!(outcome.expect_err("refused").status(), Some(401));
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn second_401_is_final() {
    let server = Server::start(|_, _| Reply::text(401, "")).await;
    let cell = CredentialsCell::new(Some(Credentials::new("old", "t")));
    let client = server.deployment().client(cell.watch());
    let call = tokio::spawn(async move { client.status(&task_id()).await });
    server.wait_for_requests(1).await;
    cell.set(Credentials::new("new", "t"));
    assert_eq!(
        call.await.expect("no panic").expect_err("refused").status(),
        Some(401)
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn expired_credentials_are_not_sent() {
    let server = Server::start(|_, _| Reply::json(200, status())).await;
    let expired = Credentials::new("old", "t").with_expiry(Timestamp::UNIX_EPOCH);
    let cell = CredentialsCell::new(Some(expired));
    let client = server.deployment().client(cell.watch());
    let call = tokio::spawn(async move { client.status(&task_id()).await });
    tokio::task::yield_now().await;
    cell.set(Credentials::new("new", "t"));
    call.await.expect("no panic").expect("success");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").contains("id=\"new\""))
    );
}

#[tokio::test]
async fn nothing_is_signed_without_credentials() {
    let server = Server::start(|_, _| Reply::json(200, status())).await;
    server
        .deployment()
        .client(CredentialsWatch::fixed(None))
        .status(&task_id())
        .await
        .expect("success");
    assert_eq!(server.requests()[0].header("authorization"), "");
}

#[tokio::test]
async fn artifact_name_is_one_path_segment() {
    let server = Server::start(|_, _| Reply::json(200, json!({ "storageType": "link" }))).await;
    let client = server.deployment().client(signed());
    let request = ArtifactRequest::Link {
        content_type: "text/plain".to_owned(),
        artifact: "public/a".to_owned(),
        expires: Timestamp::UNIX_EPOCH,
    };
    client
        .create_artifact(&run(), "public/ä b/?.log", &request)
        .await
        .expect("success");
    let request = &server.requests()[0];
    assert_eq!(
        request.target,
        format!("/api/queue/v1/task/{TASK}/runs/0/artifacts/public%2F%C3%A4%20b%2F%3F.log")
    );
    assert_eq!(request.json()["storageType"], "link");
    assert_eq!(request.header("content-type"), "application/json");
}

#[tokio::test]
async fn dot_segment_name_is_not_sent() {
    let server = Server::start(|_, _| Reply::json(200, json!({}))).await;
    let client = server.deployment().client(signed());
    let error = client
        .artifact(&task_id(), Some(0), "..")
        .await
        .expect_err("dots");
    assert!(
        matches!(error, ApiError::Request { .. }),
        "{}",
        error_chain(&error)
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn all_pages_are_listed() {
    let server = Server::start(|_, request| {
        let entry = |name: &str| json!({ "storageType": "s3", "name": name, "expires": "2026-01-01T00:00:00.000Z" });
        match &*request.target {
            target if target.ends_with("?continuationToken=a%2Bb") => Reply::json(200, json!({ "artifacts": [entry("2")] })),
            _ => Reply::json(200, json!({ "artifacts": [entry("1")], "continuationToken": "a+b" })),
        }
    })
    .await;
    let artifacts = server
        .deployment()
        .client(signed())
        .list_artifacts(&run())
        .await
        .expect("both pages");
    let names: Vec<_> = artifacts.iter().map(|artifact| &*artifact.name).collect();
    assert_eq!(names, ["1", "2"]);
}

#[tokio::test]
async fn endless_listing_is_an_error() {
    let server = Server::start(|number, _| {
        Reply::json(
            200,
            json!({ "artifacts": [], "continuationToken": number.to_string() }),
        )
    })
    .await;
    let client = server.deployment().client(signed());
    let listed = client.list_artifacts(&run()).await;
    let error = error_chain(&listed.expect_err("it never ends"));
    assert!(error.contains("more than 1000 pages"), "{error}");
    assert_eq!(server.requests().len(), 1000);
}

#[tokio::test]
async fn exception_reason_is_serialized() {
    let server = Server::start(|_, _| {
        let run = json!({ "runId": 0, "state": "exception", "reasonCreated": "scheduled", "reasonResolved": "brand-new" });
        Reply::json(200, json!({ "status": { "taskId": TASK, "state": "exception", "retriesLeft": 0, "runs": [run] } }))
    })
    .await;
    let client = server.deployment().client(signed());
    let status = client
        .report_exception(&run(), ExceptionReason::WorkerShutdown)
        .await
        .expect("success");
    assert_eq!(
        status.runs[0].reason_resolved,
        Some(ResolvedReason::Other("brand-new".to_owned()))
    );
    assert_eq!(
        server.requests()[0].json(),
        json!({ "reason": "worker-shutdown" })
    );
}
