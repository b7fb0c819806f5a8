//! Error reports of the example worker.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use runtime::mocks::taskcluster::{Fault, FaultRule};
use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{file, folder, run, worker};

/// Polls until a result is available.
async fn eventually<T>(mut poll: impl FnMut() -> Option<T>) -> T {
    let polling = async {
        loop {
            if let Some(found) = poll() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), polling).await;
    found.expect("a result within a minute")
}

/// Runs a task with broken caches. Returns the incident id in its log.
async fn incident(site: &Site) -> String {
    // After this task the worker has opened its caches.
    let first = site.resolved(json!({ "payload": { "command": ["true"] } }));
    assert_eq!(first.await.reason_resolved(), Some("completed"));
    let caches = site.data().join("mounts");
    std::fs::rename(&caches, site.data().join("moved")).expect("a writable folder");
    std::fs::write(&caches, "not a folder").expect("a writable folder");
    let mounts = json!([{ "cacheName": "visits", "directory": "cache" }]);
    let status = site
        .resolved(json!({
            "payload": { "command": ["true"], "mounts": mounts },
            "scopes": ["demo:cache:*"],
        }))
        .await;
    assert_eq!(status.reason_resolved(), Some("internal-error"));
    let log = site.log(&status).await;
    let incident = log.lines().find_map(|line| line.split_once("incident "));
    let (_, incident) = incident.unwrap_or_else(|| panic!("no incident in {log}"));
    incident.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn internal_error_is_reported_to_worker_manager() {
    let mut site = Site::new().await;
    site.start(|settings| settings["monitoring"] = json!({ "workerManager": {} }));
    let incident = incident(&site).await;
    let error = eventually(|| site.taskcluster.worker_errors("pool/linux").pop()).await;
    assert_eq!(error["extra"]["incident"], *incident);
    assert_eq!(error["extra"]["workerId"], "id");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_reported_by_default() {
    let mut site = Site::new().await;
    site.start(|_| ());
    incident(&site).await;
    let taskcluster = site.stop().await;
    assert_eq!(taskcluster.worker_errors("pool/linux"), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn internal_error_is_reported_to_sentry() {
    let sentry = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = sentry.local_addr().expect("a bound socket");
    let mut site = Site::new().await;
    site.start(|settings| {
        let dsn = format!("http://key@{address}/42");
        settings["monitoring"] = json!({ "sentry": { "dsn": dsn } });
    });
    let incident = incident(&site).await;
    let received = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = sentry.accept().expect("a connection");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while !is_complete(&received) {
            let count = stream.read(&mut buffer).expect("readable");
            assert!(
                count > 0,
                "received only {:?}",
                String::from_utf8_lossy(&received)
            );
            received.extend_from_slice(&buffer[..count]);
        }
        let response = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(response.as_bytes()).expect("writable");
        String::from_utf8_lossy(&received).into_owned()
    });
    let received = received.await.expect("no panic");
    assert!(received.starts_with("POST /api/42/envelope/"), "{received}");
    // Sentry ids have no hyphens.
    assert!(received.contains(&incident.replace('-', "")), "{received}");
    site.stop().await;
}

/// Returns whether a request has all bytes of its body.
fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, length)| length.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn project_dsn_is_requested_from_auth() {
    let mut site = Site::new().await;
    let unavailable = Fault::Status {
        status: 503,
        retry_after: None,
    };
    let rule = FaultRule::new("auth.sentryDSN", unavailable).on_path("sentry/my-project");
    let requests = site.taskcluster.inject(rule);
    site.start(|settings| {
        settings["monitoring"] = json!({ "sentry": { "project": "my-project" } });
    });
    incident(&site).await;
    eventually(|| (requests.hits() > 0).then_some(())).await;
    site.stop().await;
}

#[test]
fn sentry_without_dsn_is_rejected() {
    let scratch = folder();
    let settings = json!({
        "worker": {
            "rootUrl": "http://127.0.0.1:1",
            "taskQueueId": "pool/linux",
            "workerGroup": "group",
            "workerId": "id",
            "credentials": { "clientId": "me", "accessToken": "a-token-of-some-length" },
            "dataFolder": scratch.path(),
        },
        "monitoring": { "sentry": {} },
    });
    let path = file(&scratch, "worker.json", &settings.to_string());
    let (output, text) = run(worker(scratch.path()).args(["run", "--config"]).arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`monitoring.sentry` needs a `dsn`"), "{text}");
}
