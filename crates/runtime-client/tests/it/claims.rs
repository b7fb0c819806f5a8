//! Claims: sent once, and not lost when the caller is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{ReceivedRequest, Reply, Server, fast_retries, wait_until};
use runtime_client::{Client, TaskclusterDeployment};
use runtime_core::clock::MockClock;
use runtime_core::queue::{ClaimWorkRequest, Queue, TaskClaim};
use runtime_core::{ApiError, Credentials, CredentialsCell, CredentialsWatch, TaskId};
use serde_json::{Value, json};

fn claim(task_id: &TaskId) -> Value {
    json!({
        "status": { "taskId": task_id, "state": "running", "retriesLeft": 5, "runs": [] },
        "runId": 0, "workerGroup": "g", "workerId": "w",
        "takenUntil": "2999-11-24T17:53:28.49+00:00",
        "task": {
            "taskQueueId": "p/w", "created": "2026-11-24T17:33:27.000Z", "deadline": "2026-11-24T18:33:27.000Z", "payload": {},
            "metadata": { "name": "", "description": "", "owner": "", "source": "" },
        },
        "credentials": { "clientId": "task", "accessToken": "secret", "certificate": "{\"version\":1}" },
    })
}

fn claims(count: usize) -> Reply {
    let tasks: Vec<_> = (0..count).map(|_| claim(&TaskId::random())).collect();
    Reply::json(200, json!({ "tasks": tasks }))
}

fn client(deployment: &TaskclusterDeployment) -> Client {
    deployment.client(CredentialsWatch::fixed(Some(Credentials::new(
        "worker", "secret",
    ))))
}

async fn claim_work(client: &Client, tasks: u32) -> Result<Vec<TaskClaim>, ApiError> {
    let request = ClaimWorkRequest {
        worker_group: "g".to_owned(),
        worker_id: "w".to_owned(),
        tasks,
    };
    client.claim_work("p/w", &request).await
}

/// Claims once. Returns the result and the number of requests.
async fn outcome(
    answer: impl Fn(usize, &ReceivedRequest) -> Reply + Send + Sync + 'static,
) -> (Result<Vec<TaskClaim>, ApiError>, usize) {
    let server = Server::start(answer).await;
    let outcome = claim_work(&client(&server.deployment()), 1).await;
    (outcome, server.requests().len())
}

#[tokio::test]
async fn claim_has_task_and_credentials() {
    let server = Server::start(|_, _| claims(2)).await;
    let claims = claim_work(&client(&server.deployment()), 4)
        .await
        .expect("success");
    assert_eq!(claims.len(), 2);
    assert_eq!(claims[0].credentials.client_id, "task");
    let request = &server.requests()[0];
    assert_eq!(request.target, "/api/queue/v1/claim-work/p%2Fw");
    assert_eq!(
        request.json(),
        json!({ "workerGroup": "g", "workerId": "w", "tasks": 4 })
    );
}

#[tokio::test]
async fn unreadable_claim_spares_its_neighbours() {
    let nested = "[".repeat(140) + &"]".repeat(140);
    let body = |first: &Value| json!({ "tasks": [first, claim(&TaskId::random())] }).to_string();
    let mut deep = claim(&TaskId::random());
    deep["task"]["payload"] = json!("NESTED");
    let deep = body(&deep).replace("\"NESTED\"", &nested);
    let mut broken = claim(&TaskId::random());
    broken["credentials"] = json!("none");
    let broken = body(&broken);
    for (body, expected) in [(deep, vec![true, false]), (broken, vec![false])] {
        let server = Server::start(move |_, _| Reply::text(200, body.clone())).await;
        let claims = claim_work(&client(&server.deployment()), 4).await;
        let claims = claims.expect("success");
        let has_error = claims.iter().map(|claim| claim.definition_error.is_some());
        assert_eq!(has_error.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn empty_claim_is_not_an_error() {
    let (outcome, _) = outcome(|_, _| Reply::json(200, json!({ "tasks": [] }))).await;
    assert!(outcome.expect("success").is_empty());
}

#[tokio::test]
async fn failed_claim_is_not_repeated() {
    for reply in [
        || Reply::Hangup,
        || Reply::Truncated("{\"tasks\": []}".into()),
        || Reply::text(500, ""),
        || Reply::text(502, ""),
        || Reply::text(503, ""),
        || Reply::text(503, "").with("retry-after", "0"),
        || Reply::text(429, ""),
    ] {
        let (outcome, requests) = outcome(move |_, _| reply()).await;
        assert!(outcome.expect_err("lost").is_transient());
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn claim_with_refused_credentials_reports_them() {
    let server = Server::start(|_, _| Reply::text(401, "")).await;
    let cell = CredentialsCell::new(Some(Credentials::new("worker", "secret")));
    let client = server.deployment().client(cell.watch());
    let error = claim_work(&client, 1).await.expect_err("refused");
    assert_eq!(error.status(), Some(401));
    assert_eq!(server.requests().len(), 1);
    let refused = tokio::time::timeout(Duration::from_secs(10), cell.refused());
    refused
        .await
        .expect("the owner of the credentials is notified");
}

#[tokio::test]
async fn claims_do_not_depend_on_local_clock() {
    let started = "2026-11-24T17:33:28.49+00:00";
    let server = Server::start(move |_, _| {
        let mut claim = claim(&TaskId::random());
        claim["takenUntil"] = json!(started);
        Reply::json(200, json!({ "tasks": [claim] }))
    })
    .await;
    // By the local clock, the claim expired long ago.
    let mut settings = fast_retries();
    let clock = MockClock::new();
    clock.advance(Duration::from_secs(3600 * 24 * 365));
    settings.clock = Arc::new(clock);
    let deployment = TaskclusterDeployment::with_settings(&server.url, settings);
    let client = client(&deployment.expect("a valid root URL"));
    let claims = claim_work(&client, 1).await.expect("success");
    assert_eq!(claims.len(), 1);
}

#[tokio::test]
async fn refused_connection_is_an_error_at_once() {
    let url = Server::start(|_, _| Reply::NoResponse).await.url.clone();
    let deployment =
        TaskclusterDeployment::with_settings(&url, fast_retries()).expect("a valid root URL");
    let error = claim_work(&client(&deployment), 1)
        .await
        .expect_err("no server");
    assert!(
        matches!(error, ApiError::Unreachable { attempts: 1, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn abandoned_claim_goes_to_next_caller() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let server = Server::start_async(move |_, _| {
        let gate = Arc::clone(&gate);
        async move {
            wait_until(|| gate.load(Ordering::Relaxed)).await;
            claims(1)
        }
    })
    .await;
    let client = client(&server.deployment());
    tokio::select! {
        _ = claim_work(&client, 1) => panic!("the server does not answer yet"),
        () = server.wait_for_requests(1) => {}
    }
    open.store(true, Ordering::Relaxed);
    let claims = claim_work(&client.clone(), 1)
        .await
        .expect("the answer to the first call");
    assert_eq!((claims.len(), server.requests().len()), (1, 1));
}

#[tokio::test]
async fn excess_claims_are_kept() {
    let server = Server::start(|_, _| claims(3)).await;
    let client = client(&server.deployment());
    assert_eq!(claim_work(&client, 2).await.expect("success").len(), 2);
    assert_eq!(claim_work(&client, 2).await.expect("kept").len(), 1);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn pending_claims_belong_to_one_worker() {
    let server = Server::start(|_, _| claims(2)).await;
    let client = client(&server.deployment());
    assert_eq!(claim_work(&client, 1).await.expect("success").len(), 1);
    let other = ClaimWorkRequest {
        worker_group: "g".to_owned(),
        worker_id: "other".to_owned(),
        tasks: 5,
    };
    assert_eq!(
        client
            .claim_work("p/w", &other)
            .await
            .expect("success")
            .len(),
        2
    );
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn last_client_drop_cancels_request() {
    let ended = Arc::new(AtomicBool::new(false));
    let sign = Arc::clone(&ended);
    let server = Server::start_async(move |_, _| {
        let sign = OnDrop(Arc::clone(&sign));
        async move {
            let _sign = sign;
            std::future::pending().await
        }
    })
    .await;
    let client = client(&server.deployment());
    let clone = client.clone();
    tokio::select! {
        _ = claim_work(&client, 1) => panic!("the server never answers"),
        () = server.wait_for_requests(1) => {}
    }
    drop(client);
    assert!(!ended.load(Ordering::Relaxed));
    drop(clone);
    wait_until(|| ended.load(Ordering::Relaxed)).await;
}

/// Sets a flag when it is dropped.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
