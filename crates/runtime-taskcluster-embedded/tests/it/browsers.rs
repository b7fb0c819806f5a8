//! Pages of other sites reach neither the control endpoint nor the pages.

use reqwest::Method;
use runtime_taskcluster_embedded::Taskcluster;
use serde_json::json;

use crate::support::{http, start};

/// Sends a request with these headers, and returns its status.
async fn status(
    taskcluster: &Taskcluster,
    (verb, path): (Method, &str),
    headers: &[(&str, &str)],
) -> u16 {
    let mut request = http().request(verb.clone(), format!("{}{path}", taskcluster.root_url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if verb == Method::POST {
        request = request.body(json!({ "advance": 3600 }).to_string());
    }
    request.send().await.unwrap().status().as_u16()
}

/// Returns the port of the root URL.
fn port(taskcluster: &Taskcluster) -> &str {
    taskcluster
        .root_url()
        .rsplit(':')
        .next()
        .unwrap_or_default()
}

const CLOCK: &str = "/control/clock";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn other_sites_cannot_change_the_clock() {
    let (taskcluster, _) = start().await;
    let before = taskcluster.clock().now();
    let null = [JSON, ("origin", "null")];
    let foreign = [JSON, ("origin", "http://example.com")];
    let other_port = [JSON, ("origin", "http://127.0.0.1:1")];
    let text = [("content-type", "text/plain")];
    for headers in [&null[..], &foreign, &other_port, &text, &[]] {
        let status = status(&taskcluster, (Method::POST, CLOCK), headers).await;
        assert_eq!(status, 403, "{headers:?}");
    }
    let foreign = [("origin", "https://example.com")];
    let status = status(&taskcluster, (Method::DELETE, "/control/faults"), &foreign).await;
    assert_eq!(status, 403);
    assert!(taskcluster.clock().now().duration_since(before).as_secs() < 3600);
}

#[tokio::test]
async fn own_pages_may_change_the_clock() {
    let (taskcluster, _) = start().await;
    let by_name = format!("http://LOCALHOST:{}", port(&taskcluster));
    for origin in [taskcluster.root_url(), &by_name] {
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("origin", origin),
        ];
        let status = status(&taskcluster, (Method::POST, CLOCK), &headers).await;
        assert_eq!(status, 200, "{origin}");
    }
}

#[tokio::test]
async fn rebound_names_are_refused() {
    let (taskcluster, _) = start().await;
    let mut paths = vec![CLOCK];
    if cfg!(feature = "pages") {
        paths.extend(["/", "/tasks/CFAKnfgiTSGBc9lIjR5CnQ"]);
    }
    let port = port(&taskcluster);
    let refused = [
        "example.com".to_owned(),
        format!("example.com:{port}"),
        "127.0.0.1:1".to_owned(),
    ];
    let accepted = [format!("localhost:{port}"), format!("[::1]:{port}")];
    for path in paths {
        for host in &refused {
            let status = status(&taskcluster, (Method::GET, path), &[("host", host)]).await;
            assert_eq!(status, 403, "{path} {host}");
        }
        for host in &accepted {
            let status = status(&taskcluster, (Method::GET, path), &[("host", host)]).await;
            assert_ne!(status, 403, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn large_control_payload_is_refused() {
    let (taskcluster, _) = start().await;
    let url = format!("{}{CLOCK}", taskcluster.root_url());
    let payload = format!("{{\"advance\":{}1}}", " ".repeat(64 * 1024));
    let request = http().post(url).header(JSON.0, JSON.1).body(payload);
    assert_eq!(request.send().await.unwrap().status(), 400);
}
