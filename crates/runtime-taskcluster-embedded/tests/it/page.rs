//! The HTML pages: content, filters, paging and escaping.
#![cfg(feature = "pages")]

use crate::support::artifacts::{put, put_url, running};
use crate::support::{create, http, later, start};
use runtime_taskcluster_embedded::{Fault, FaultRule, Taskcluster};
use serde_json::json;

/// Fetches a page and returns its status and HTML.
async fn page(taskcluster: &Taskcluster, path: &str) -> (u16, String) {
    let url = format!("{}{path}", taskcluster.root_url());
    let response = http().get(url).send().await.unwrap();
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn text_of_tasks_is_escaped() {
    let (taskcluster, _) = start().await;
    let metadata = json!({ "name": "<script>alert(1)</script>", "description": "<img src=x>" });
    let task_id = create(
        &taskcluster,
        json!({ "metadata": metadata, "payload": { "x": "</pre><b>" } }),
    );
    for path in ["/".to_owned(), format!("/tasks/{task_id}")] {
        let (status, html) = page(&taskcluster, &path).await;
        assert_eq!(status, 200);
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
        for forbidden in ["<script", "<img", "</pre><b>"] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
    }
}

#[tokio::test]
async fn overview_shows_all_sections_and_filters() {
    let (taskcluster, _, _worker) = running().await;
    let other = create(&taskcluster, json!({ "taskQueueId": "test/other" }));
    let fault = Fault::Status {
        status: 503,
        retry_after: None,
    };
    taskcluster.inject(FaultRule::new("queue.status", fault).times(2));
    let (_, html) = page(&taskcluster, "/").await;
    for expected in ["test/linux", "group/worker", "queue.status", &other] {
        assert!(html.contains(expected), "{expected} in {html}");
    }
    let (_, of_queue) = page(&taskcluster, "/?queue=test%2Flinux").await;
    assert!(!of_queue.contains(&other));
    let (_, pending) = page(&taskcluster, "/?state=pending").await;
    assert!(pending.contains(&other) && pending.contains("class=\"tile chosen pending\""));
    let (_, running) = page(&taskcluster, "/?state=running&queue=test%2Fother").await;
    assert!(!running.contains(&format!("/tasks/{other}")));
}

#[tokio::test]
async fn tasks_are_listed_in_pages() {
    let (taskcluster, _) = start().await;
    for _ in 0..150 {
        create(&taskcluster, json!({}));
    }
    let rows = |html: &str| html.matches("href=\"/tasks/").count();
    let (_, first) = page(&taskcluster, "/").await;
    let (_, second) = page(&taskcluster, "/?page=1").await;
    assert_eq!((rows(&first), rows(&second)), (100, 50));
    assert!(first.contains("earlier tasks") && second.contains("later tasks"));
    let (status, far) = page(&taskcluster, "/?page=18446744073709551615").await;
    assert_eq!((status, rows(&far)), (200, 0));
}

#[tokio::test]
async fn task_page_shows_log_and_artifacts() {
    let (taskcluster, task_id, worker) = running().await;
    let log = "public/logs/live_backing.log";
    let url = put_url(&taskcluster, &task_id, &worker, log).await;
    let text = b"[taskcluster 2026-11-24T10:00:00.000Z] starts\nhello <b>\n".to_vec();
    put(&url, &[("content-type", "text/plain")], text).await;
    let missing = json!({
        "storageType": "error", "reason": "file-missing-on-worker", "message": "no <such> file",
        "expires": later(&taskcluster, crate::support::artifacts::HOUR),
    });
    worker.artifact(&task_id, "public/gone", missing).await;

    let (_, html) = page(&taskcluster, &format!("/tasks/{task_id}")).await;
    assert!(html.contains("<span>hello &lt;b&gt;</span>"), "{html}");
    assert!(
        html.contains("file-missing-on-worker: no &lt;such&gt; file"),
        "{html}"
    );
    let look = format!("/tasks/{task_id}/0/{log}");
    assert!(html.contains(&format!("href=\"{look}\"")), "{html}");
    let (status, html) = page(&taskcluster, &look).await;
    assert_eq!(status, 200);
    assert!(
        html.contains("<span class=\"worker\">[taskcluster 2026"),
        "{html}"
    );
}

#[tokio::test]
async fn unknown_pages_are_a_404() {
    let (taskcluster, task_id, _worker) = running().await;
    let artifact = format!("/tasks/{task_id}/0/public/none");
    let run = format!("/tasks/{task_id}/x/public/none");
    for path in ["/tasks/none", &artifact, &run, "/tasks/a/b"] {
        let (status, html) = page(&taskcluster, path).await;
        assert_eq!(status, 404, "{path}");
        assert!(html.contains("does not exist"), "{html}");
    }
}
