//! Calls that meet every kind of answer, and none.

mod support;

use std::time::Duration;

use runtime_client::TaskclusterDeployment;
use runtime_core::queue::{ArtifactRequest, Queue, ResolvedReason, TaskState};
use runtime_core::{
    ApiError, Credentials, CredentialsCell, CredentialsWatch, ExceptionReason, Run, TaskId,
    Timestamp, error_chain,
};
use serde_json::{Value, json};
use support::{Reply, Seen, Server, quick};

const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

fn task_id() -> TaskId {
    TASK.parse().expect("a task id")
}

fn run() -> Run {
    Run {
        task_id: task_id(),
        run_id: 0,
    }
}

fn status() -> Value {
    json!({ "status": { "taskId": TASK, "state": "running", "retriesLeft": 5, "runs": [], "later": [1] } })
}

fn signed() -> CredentialsWatch {
    CredentialsWatch::fixed(Some(Credentials::new("worker", "secret")))
}

/// Asks for the status of a task and gives the outcome with the requests that it took.
async fn ask(
    answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
) -> (Result<TaskState, ApiError>, Vec<Seen>) {
    let server = Server::start(answer).await;
    let client = server.deployment().client(signed());
    let outcome = client.status(&task_id()).await;
    (outcome.map(|status| status.state), server.seen())
}

/// Fails `times` times, then succeeds.
async fn ask_after(
    times: usize,
    failure: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Result<TaskState, ApiError>, Vec<Seen>) {
    ask(move |number, _| {
        if number < times {
            failure()
        } else {
            Reply::json(200, status())
        }
    })
    .await
}

fn nonce(seen: &Seen) -> String {
    let header = seen.header("authorization");
    let (_, rest) = header.split_once("nonce=\"").expect("a nonce");
    rest.split('"').next().expect("its end").to_owned()
}

#[tokio::test]
async fn an_answer_is_parsed_and_what_is_new_in_it_ignored() {
    let (outcome, seen) = ask(|_, _| Reply::json(200, status())).await;
    assert_eq!(outcome.expect("success"), TaskState::Running);
    assert_eq!(seen[0].target, format!("/api/queue/v1/task/{TASK}/status"));
    assert!(
        seen[0]
            .header("authorization")
            .starts_with("Hawk id=\"worker\"")
    );
    assert!(seen[0].header("user-agent").starts_with("runtime-client/"));
}

#[tokio::test]
async fn server_errors_are_tried_again_each_with_a_signature_of_its_own() {
    for status in [500, 502, 503, 504, 429, 408] {
        let (outcome, seen) = ask_after(2, move || Reply::text(status, "<html>oops</html>")).await;
        outcome.expect("the third attempt");
        assert_eq!(seen.len(), 3, "{status}");
        assert_ne!(nonce(&seen[0]), nonce(&seen[1]));
    }
}

#[tokio::test]
async fn broken_connections_are_tried_again() {
    let (outcome, seen) = ask_after(2, || Reply::Hangup).await;
    outcome.expect("the third attempt");
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_truncated_answer_is_tried_again() {
    let (outcome, seen) = ask_after(1, || Reply::Cut(status().to_string().into())).await;
    outcome.expect("the second attempt");
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn refusals_are_final_and_tell_where_the_service_logged_them() {
    for status in [400, 403, 404, 409, 410, 424] {
        let (outcome, seen) = ask(move |_, _| {
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
        assert_eq!(seen.len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (outcome, seen) = ask(|_, _| Reply::text(303, "").with("location", "/elsewhere")).await;
    assert_eq!(
        outcome.expect_err("a redirect is no answer").status(),
        Some(303)
    );
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_unexpected() {
    for body in ["<html>welcome</html>", "", "{}", "[1]"] {
        let (outcome, seen) = ask(move |_, _| Reply::text(200, body)).await;
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
        assert_eq!(seen.len(), 1);
    }
}

#[tokio::test]
async fn the_budget_bounds_the_attempts() {
    let server = Server::start(|_, _| Reply::text(500, "")).await;
    let deployment = server.deployment_with(|settings| settings.retry.budget = Duration::ZERO);
    let error = deployment
        .client(signed())
        .status(&task_id())
        .await
        .expect_err("always fails");
    assert!(error.is_transient() && error.status() == Some(500));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_retry_after_beyond_the_budget_gives_the_error_at_once() {
    let (outcome, seen) = ask(|_, _| Reply::text(503, "").with("retry-after", "86400")).await;
    assert_eq!(outcome.expect_err("refused").status(), Some(503));
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn nobody_at_the_other_end_is_unreachable_after_several_attempts() {
    let url = Server::start(|_, _| Reply::Silence).await.url.clone();
    let mut settings = quick();
    settings.retry.budget = Duration::from_secs(1);
    let deployment =
        TaskclusterDeployment::with_settings(&url, settings).expect("a valid root URL");
    let error = deployment
        .client(signed())
        .status(&task_id())
        .await
        .expect_err("nobody is there");
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
async fn silence_ends_an_attempt() {
    let server = Server::start(|number, _| {
        if number == 0 {
            Reply::Silence
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
async fn a_401_waits_for_other_credentials_and_signs_with_them() {
    let server =
        Server::start(
            |_, seen| match seen.header("authorization").contains("id=\"new\"") {
                true => Reply::json(200, status()),
                false => Reply::json(
                    401,
                    json!({ "code": "AuthenticationFailed", "message": "expired" }),
                ),
            },
        )
        .await;
    let cell = CredentialsCell::new(Some(Credentials::new("old", "t")));
    let client = server.deployment().client(cell.watch());
    let call = tokio::spawn(async move { client.status(&task_id()).await });
    server.saw(1).await;
    cell.set(Credentials::new("new", "t"));
    call.await
        .expect("no panic")
        .expect("the new credentials are good");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_401_is_final_when_no_other_credentials_can_come() {
    let (outcome, seen) = ask(|_, _| Reply::text(401, "")).await;
    assert_eq!(outcome.expect_err("refused").status(), Some(401));
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn a_401_with_the_new_credentials_too_is_final() {
    let server = Server::start(|_, _| Reply::text(401, "")).await;
    let cell = CredentialsCell::new(Some(Credentials::new("old", "t")));
    let client = server.deployment().client(cell.watch());
    let call = tokio::spawn(async move { client.status(&task_id()).await });
    server.saw(1).await;
    cell.set(Credentials::new("new", "t"));
    assert_eq!(
        call.await.expect("no panic").expect_err("refused").status(),
        Some(401)
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn expired_credentials_are_not_sent_while_others_may_come() {
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
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").contains("id=\"new\""))
    );
}

#[tokio::test]
async fn without_credentials_nothing_is_signed() {
    let server = Server::start(|_, _| Reply::json(200, status())).await;
    server
        .deployment()
        .client(CredentialsWatch::fixed(None))
        .status(&task_id())
        .await
        .expect("success");
    assert_eq!(server.seen()[0].header("authorization"), "");
}

#[tokio::test]
async fn names_are_sent_as_one_segment_each() {
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
    let seen = &server.seen()[0];
    assert_eq!(
        seen.target,
        format!("/api/queue/v1/task/{TASK}/runs/0/artifacts/public%2F%C3%A4%20b%2F%3F.log")
    );
    assert_eq!(seen.json()["storageType"], "link");
    assert_eq!(seen.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_name_that_no_url_can_hold_is_refused_before_it_is_sent() {
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
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let server = Server::start(|_, seen| {
        let entry = |name: &str| json!({ "storageType": "s3", "name": name, "expires": "2026-01-01T00:00:00.000Z" });
        match &*seen.target {
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
async fn a_report_says_the_reason_as_the_queue_spells_it() {
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
        server.seen()[0].json(),
        json!({ "reason": "worker-shutdown" })
    );
}
