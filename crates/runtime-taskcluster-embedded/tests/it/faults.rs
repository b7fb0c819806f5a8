//! Injected faults: the response that a client sees, and the effect on the server.

use std::error::Error as _;
use std::time::{Duration, Instant};

use crate::support::artifacts::s3;
use crate::support::{Client, Forgery, create, http, start};
use reqwest::Method;
use runtime_taskcluster_embedded::{Fault, FaultRule, TaskState, Taskcluster};
use serde_json::json;

async fn ping(client: &Client) -> reqwest::Result<crate::support::Response> {
    client
        .try_send(Method::GET, "/api/queue/v1/ping", None, Forgery::default())
        .await
}

/// Returns whether the connection was reset, as opposed to closed.
fn is_reset(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.any(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn status_fault_has_the_service_format() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let fault = Fault::Status {
        status: 503,
        retry_after: Some(7),
    };
    let injected = taskcluster.inject(FaultRule::new("queue.status", fault).times(2));
    let path = format!("/api/queue/v1/task/{task_id}/status");
    for _ in 0..2 {
        let response = client.get(&path).await;
        assert_eq!(
            (response.status, response.code()),
            (503, "InternalServerError")
        );
        assert_eq!(response.body["requestInfo"]["method"], "status");
        assert_eq!(response.headers["retry-after"], "7");
    }
    assert_eq!(client.get(&path).await.status, 200);
    assert_eq!(injected.hits(), 2);
}

#[tokio::test]
async fn html_fault_replaces_the_response() {
    let (taskcluster, client) = start().await;
    taskcluster.inject(FaultRule::new("queue.*", Fault::Html { status: 502 }));
    let response = ping(&client).await.unwrap();
    assert_eq!(
        (response.status, &response.headers["content-type"]),
        (502, &"text/html; charset=utf-8".parse().unwrap())
    );
    taskcluster.clear_faults();
    assert_eq!(ping(&client).await.unwrap().status, 200);
}

#[tokio::test]
async fn reset_fault_skips_the_call() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    taskcluster.inject(FaultRule::new("queue.reportCompleted", Fault::Reset { after: 0 }).times(1));
    let path = format!("/api/queue/v1/task/{task_id}/runs/0/completed");
    let failed = worker
        .try_send(Method::POST, &path, Some(json!({})), Forgery::default())
        .await;
    assert!(is_reset(&failed.unwrap_err()));
    assert_eq!(
        taskcluster.status(&task_id).unwrap().state,
        TaskState::Running
    );
}

#[tokio::test]
async fn lost_response_follows_the_call() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.inject(FaultRule::new("queue.claimWork", Fault::LostResponse).times(1));
    let body = json!({ "workerGroup": "group", "workerId": "worker", "tasks": 1 });
    let path = "/api/queue/v1/claim-work/test%2Flinux";
    let lost = client
        .try_send(Method::POST, path, Some(body), Forgery::default())
        .await;
    assert!(is_reset(&lost.unwrap_err()));
    assert_eq!(
        taskcluster.status(&task_id).unwrap().state,
        TaskState::Running
    );
}

#[tokio::test]
async fn stalled_call_does_not_delay_stop() {
    let (taskcluster, client) = start().await;
    taskcluster.inject(FaultRule::new("queue.ping", Fault::Stall { after: 0 }));
    let waited = tokio::time::timeout(Duration::from_millis(100), ping(&client)).await;
    assert!(waited.is_err(), "the stall was answered");
    let stalled = tokio::spawn(async move { ping(&client).await });
    let start = Instant::now();
    taskcluster.stop().await;
    assert!(stalled.await.unwrap().is_err());
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Starts a Taskcluster with a running task and a declared s3 artifact, and returns the task id and
/// the upload URL.
async fn upload() -> (Taskcluster, String, String) {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let response = worker
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    let url = response.body["putUrl"].as_str().unwrap().to_owned();
    (taskcluster, task_id, url)
}

#[tokio::test]
async fn reset_upload_stores_nothing() {
    let (taskcluster, task_id, url) = upload().await;
    taskcluster.inject(FaultRule::new("s3.put", Fault::Reset { after: 1000 }).times(1));
    let body = vec![7; 4_000_000];
    assert!(http().put(&url).body(body.clone()).send().await.is_err());
    assert!(
        taskcluster
            .read_artifact(&task_id, "public/a")
            .await
            .is_err()
    );
    assert_eq!(
        http()
            .put(&url)
            .body(body.clone())
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        taskcluster
            .read_artifact(&task_id, "public/a")
            .await
            .unwrap()
            .bytes,
        body
    );
}

#[tokio::test]
async fn truncated_body_is_shorter_than_content_length() {
    let (taskcluster, _, url) = upload().await;
    http().put(&url).body("0123456789").send().await.unwrap();
    let url = url.split('?').next().unwrap();
    taskcluster.inject(FaultRule::new("s3.get", Fault::Truncate { after: 4 }).times(1));
    let mut cut = http().get(url).send().await.unwrap();
    assert_eq!(cut.headers()["content-length"], "10");
    assert_eq!(cut.chunk().await.unwrap().unwrap(), "0123");
    assert!(cut.chunk().await.is_err(), "the rest came too");
    assert_eq!(
        http().get(url).send().await.unwrap().text().await.unwrap(),
        "0123456789"
    );
}

#[tokio::test]
async fn response_body_may_stall_or_be_slow() {
    let (taskcluster, _, url) = upload().await;
    http().put(&url).body("0123456789").send().await.unwrap();
    let url = url.split('?').next().unwrap();
    taskcluster.inject(FaultRule::new("s3.get", Fault::StallBody { after: 4 }).times(1));
    let mut stalled = http().get(url).send().await.unwrap();
    assert_eq!(stalled.chunk().await.unwrap().unwrap(), "0123");
    let waited = tokio::time::timeout(Duration::from_millis(100), stalled.chunk()).await;
    assert!(waited.is_err(), "the body went on");

    taskcluster.inject(
        FaultRule::new(
            "s3.get",
            Fault::Slow {
                bytes_per_second: 50,
            },
        )
        .times(1),
    );
    let start = Instant::now();
    assert_eq!(
        http().get(url).send().await.unwrap().text().await.unwrap(),
        "0123456789"
    );
    assert!(
        start.elapsed() >= Duration::from_millis(150),
        "it came at once"
    );
}

#[tokio::test]
async fn latency_adds_to_other_faults() {
    let (taskcluster, client) = start().await;
    taskcluster.inject(FaultRule::new("*", Fault::Latency { millis: 60 }));
    let fault = Fault::Status {
        status: 500,
        retry_after: None,
    };
    taskcluster.inject(FaultRule::new("queue.ping", fault));
    let start = Instant::now();
    assert_eq!(ping(&client).await.unwrap().status, 500);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn rule_may_match_one_artifact() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let fault = Fault::Status {
        status: 500,
        retry_after: None,
    };
    taskcluster.inject(FaultRule::new("queue.createArtifact", fault).on_path("public/bad"));
    for (name, status) in [("public/good", 200), ("public%2Fbad", 500)] {
        assert_eq!(
            worker
                .artifact(&task_id, name, s3(&taskcluster))
                .await
                .status,
            status
        );
    }
}

#[tokio::test]
async fn expired_urls_and_credentials_are_returned() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.inject(FaultRule::new("queue.claimWork", Fault::ExpiredCredentials).times(1));
    let (_, expired) = client.claim_one().await;
    assert_eq!(
        expired.run(&task_id, 0, "reclaim", json!({})).await.status,
        401
    );
    taskcluster.inject(FaultRule::new("queue.createArtifact", Fault::ExpiredUrl).times(1));
    let made = client
        .artifact(&task_id, "public/a", s3(&taskcluster))
        .await;
    let url = made.body["putUrl"].as_str().unwrap();
    assert_eq!(
        http().put(url).body("x").send().await.unwrap().status(),
        403
    );
}

#[tokio::test]
async fn unknown_method_is_an_error() {
    let (taskcluster, _) = start().await;
    let anybody = Client::anonymous(&taskcluster);
    for (method, nearest) in [
        ("queue.claimwork", "queue.claimWork"),
        ("claimWork", "queue.claimWork"),
        ("purgeCache.purgeRequests", "purge-cache.purgeRequests"),
        ("s3.putt", "s3.put"),
    ] {
        let rule = FaultRule::new(method, Fault::LostResponse);
        let error = taskcluster.try_inject(rule).expect_err(method);
        assert_eq!(error.method, method);
        assert_eq!(error.nearest, nearest);
        let rule = json!({ "method": method, "fault": { "kind": "lost-response" } });
        let response = anybody.post("/control/faults", rule).await;
        assert_eq!(response.status, 400, "{method}");
        let message = format!("unknown method `{method}`, did you mean `");
        assert!(
            response.message().starts_with(&message),
            "{:?}",
            response.body
        );
    }
    for method in [
        "*",
        "queue.*",
        "queue.cl*",
        "s3.put",
        "auth.ping",
        "queue.claimWork*",
    ] {
        let rule = FaultRule::new(method, Fault::LostResponse);
        taskcluster.try_inject(rule).expect(method);
    }
}

#[tokio::test]
async fn extreme_numbers_are_no_overflow() {
    let builder = Taskcluster::builder()
        .claim_timeout(Duration::MAX)
        .long_poll(Duration::MAX)
        .resolver_delay(Duration::MAX);
    let taskcluster = builder.start().await.unwrap();
    let latency = Fault::Latency { millis: u64::MAX };
    for _ in 0..2 {
        taskcluster.inject(FaultRule::new("queue.task", latency));
        taskcluster.inject(FaultRule::new("queue.ping", Fault::Latency { millis: 0 }));
    }
    let client = Client::root(&taskcluster);
    let task_id = create(&taskcluster, json!({}));
    let path = format!("/api/queue/v1/task/{task_id}");
    let waiting = client.get(&path);
    assert!(
        tokio::time::timeout(Duration::from_millis(20), waiting)
            .await
            .is_err()
    );
    let (claim, _) = client.claim_one().await;
    assert_eq!(claim["status"]["taskId"], task_id);
    let pages = client.get("/api/auth/v1/clients/?limit=0&continuationToken=18446744073709551615");
    assert_eq!(pages.await.body["clients"], json!([]));
    for _ in 0..3 {
        taskcluster.advance(Duration::MAX);
    }
    assert_eq!(ping(&client).await.unwrap().status, 200);
    assert!(&*taskcluster.clock().now().strftime("%Y").to_string() >= "9999");
}

#[tokio::test]
async fn control_endpoint_sets_faults_and_clock() {
    let (taskcluster, _) = start().await;
    let anybody = Client::anonymous(&taskcluster);
    let rule =
        json!({ "method": "queue.ping", "times": 1, "fault": { "kind": "status", "status": 409 } });
    assert_eq!(anybody.post("/control/faults", rule).await.status, 200);
    assert_eq!(ping(&anybody).await.unwrap().status, 409);
    assert_eq!(
        anybody.get("/control/faults").await.body["faults"][0]["hits"],
        1
    );
    assert_eq!(
        anybody.delete("/control/faults").await.body["faults"],
        json!([])
    );
    let wrong = anybody
        .post(
            "/control/faults",
            json!({ "method": "*", "fault": { "kind": "odd" } }),
        )
        .await;
    assert_eq!(wrong.status, 400);

    let before = taskcluster.clock().now();
    anybody
        .post("/control/clock", json!({ "advance": 3600 }))
        .await;
    assert!(taskcluster.clock().now().duration_since(before).as_secs() >= 3600);
    assert_eq!(
        anybody
            .post("/control/clock", json!({ "advance": -1 }))
            .await
            .status,
        400
    );
}
