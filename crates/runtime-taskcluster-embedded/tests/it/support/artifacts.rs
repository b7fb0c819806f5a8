//! Helpers for artifacts of a running task.

use std::time::Duration;

use runtime_taskcluster_embedded::Taskcluster;
use serde_json::{Value, json};

use super::{Client, Response, create, http, later, start};

/// The lifetime of artifacts.
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// Starts a Taskcluster with a running task, and returns its id and the client of its worker.
pub(crate) async fn running() -> (Taskcluster, String, Client) {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    (taskcluster, task_id, worker)
}

pub(crate) fn s3(taskcluster: &Taskcluster) -> Value {
    json!({ "storageType": "s3", "contentType": "text/plain", "expires": later(taskcluster, HOUR) })
}

/// Declares an s3 artifact and returns its upload URL.
pub(crate) async fn put_url(
    taskcluster: &Taskcluster,
    task_id: &str,
    worker: &Client,
    name: &str,
) -> String {
    let response = worker.artifact(task_id, name, s3(taskcluster)).await;
    assert_eq!(response.status, 200, "{:?}", response.body);
    response.body["putUrl"].as_str().unwrap().to_owned()
}

pub(crate) async fn put(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
    let mut request = http().put(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Returns the target of a redirect.
pub(crate) fn location(response: &Response) -> String {
    assert_eq!(response.status, 303, "{:?}", response.body);
    response.headers["location"].to_str().unwrap().to_owned()
}
