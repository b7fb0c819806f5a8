//! A task that runs and makes artifacts.

use std::time::Duration;

use runtime_taskcluster_embedded::Taskcluster;
use serde_json::{Value, json};

use super::{Answer, Client, create, http, later, start};

/// How long artifacts of tests live.
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// A Taskcluster with a task that runs, and the client of its worker.
pub(crate) async fn running() -> (Taskcluster, String, Client) {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    (taskcluster, task_id, worker)
}

pub(crate) fn s3(taskcluster: &Taskcluster) -> Value {
    json!({ "storageType": "s3", "contentType": "text/plain", "expires": later(taskcluster, HOUR) })
}

/// Declares an s3 artifact and returns where its bytes go.
pub(crate) async fn put_url(
    taskcluster: &Taskcluster,
    task_id: &str,
    worker: &Client,
    name: &str,
) -> String {
    let answer = worker.artifact(task_id, name, s3(taskcluster)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body["putUrl"].as_str().unwrap().to_owned()
}

pub(crate) async fn put(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
    let mut request = http().put(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Where a redirect of the queue leads.
pub(crate) fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{:?}", answer.body);
    answer.headers["location"].to_str().unwrap().to_owned()
}
