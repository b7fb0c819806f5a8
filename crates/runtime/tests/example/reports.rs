//! Errors of the example worker, where people look for them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use runtime::mocks::taskcluster::{Fault, FaultRule};
use serde_json::{Value, json};

use crate::site::Site;
use crate::support::{file, folder, run, worker};

/// Waits until a worker that works has told somebody of something.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), looking).await;
    found.expect("it is told within a minute")
}

/// Runs a task on a machine whose caches are broken, and gives the incident that its log names.
async fn incident(site: &Site) -> String {
    // A worker that claims has opened its caches.
    let works = site.resolved(json!({ "payload": { "command": ["true"] } }));
    assert_eq!(works.await.reason_resolved(), Some("completed"));
    let caches = site.data().join("mounts");
    std::fs::rename(&caches, site.data().join("gone")).expect("the folder is ours");
    std::fs::write(&caches, "no folder").expect("the folder is ours");
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
async fn an_internal_error_arrives_at_worker_manager_with_the_incident_of_the_task_log() {
    let mut site = Site::new().await;
    site.start(|settings| settings["monitoring"] = json!({ "workerManager": {} }));
    let incident = incident(&site).await;
    let error = eventually(|| site.taskcluster.worker_errors("pool/linux").pop()).await;
    assert_eq!(error["extra"]["incident"], *incident);
    assert_eq!(error["extra"]["workerId"], "id");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_that_is_told_of_nobody_tells_nobody() {
    let mut site = Site::new().await;
    site.start(|_| ());
    incident(&site).await;
    let taskcluster = site.stop().await;
    assert_eq!(taskcluster.worker_errors("pool/linux"), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_internal_error_arrives_at_the_sentry_of_the_file() {
    let sentry = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = sentry.local_addr().expect("it is bound");
    let mut site = Site::new().await;
    site.start(|settings| {
        let dsn = format!("http://key@{address}/42");
        settings["monitoring"] = json!({ "sentry": { "dsn": dsn } });
    });
    let incident = incident(&site).await;
    let received = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = sentry.accept().expect("it connects");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        // The envelope ends with the event, and that with its braces and perhaps a line end.
        while !received.trim_ascii_end().ends_with(b"}}") {
            let count = stream.read(&mut buffer).expect("it writes");
            assert!(
                count > 0,
                "only {:?} came",
                String::from_utf8_lossy(&received)
            );
            received.extend_from_slice(&buffer[..count]);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).expect("it reads");
        String::from_utf8_lossy(&received).into_owned()
    });
    let received = received.await.expect("no panic");
    assert!(received.starts_with("POST /api/42/envelope/"), "{received}");
    // Sentry writes ids without hyphens.
    assert!(received.contains(&incident.replace('-', "")), "{received}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_auth_service_is_asked_for_the_dsn_of_a_project() {
    let mut site = Site::new().await;
    let away = Fault::Status {
        status: 503,
        retry_after: None,
    };
    let rule = FaultRule::new("auth.sentryDSN", away).on_path("sentry/my-project");
    let asked = site.taskcluster.inject(rule);
    site.start(|settings| {
        settings["monitoring"] = json!({ "sentry": { "project": "my-project" } });
    });
    incident(&site).await;
    eventually(|| (asked.hits() > 0).then_some(())).await;
    site.stop().await;
}

#[test]
fn a_sentry_that_cannot_be_found_is_refused_at_the_start() {
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
    let (output, text) = run(worker(scratch.path()).arg("--config").arg(path));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`monitoring.sentry` needs a `dsn`"), "{text}");
}
