//! The scopes and the log of a task.

use runtime_core::ScopeSet;
use runtime_fetcher::{FetchContext, HttpClient};
use runtime_mocks::TestTask;
use serde_json::json;

use crate::support::{Server, Step, config, get};

fn context(task: &TestTask) -> FetchContext {
    let http = HttpClient::new(config()).expect("configuration is valid");
    FetchContext::for_task(http, task.context())
}

/// Returns the log lines without their time and the port of the server.
fn lines(task: &TestTask, server: &Server) -> Vec<String> {
    let log = task.log().replace(&server.url(""), "http://server");
    let text = |line: &str| Some(line.split_once("] ")?.1.to_owned());
    log.lines().filter_map(text).collect()
}

#[tokio::test]
async fn task_log_shows_fetch_and_retry() {
    let server = Server::start(|request| match request.number {
        0 => Step::answer("503 Service Unavailable", &[], b"busy"),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let task = TestTask::new(json!({}));
    get(&context(&task), &server.url("/file?token=secret"))
        .await
        .expect("second attempt succeeds");
    let lines = lines(&task, &server);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "Fetching http://server/file?…");
    assert!(lines[1].starts_with("Attempt 1 to fetch http://server/file?… failed, retrying in"));
    assert!(
        lines[1].ends_with("server returned 503: busy"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("Fetched http://server/file?…: 5 B of 5 B"),
        "{}",
        lines[2]
    );
}

#[tokio::test]
async fn task_log_shows_stopped_fetch() {
    let server = Server::start(|_| Step::answer("404 Not Found", &[], b"")).await;
    let task = TestTask::new(json!({}));
    get(&context(&task), &server.url("/file"))
        .await
        .expect_err("server returns 404");
    let lines = lines(&task, &server);
    assert!(
        lines
            .last()
            .expect("log is not empty")
            .starts_with("Stopped fetching"),
        "{lines:?}"
    );
}

#[test]
fn context_has_scopes_of_its_task() {
    let task = TestTask::with_scopes(json!({}), &["queue:get-artifact:private/*"]);
    let expected = ScopeSet::new(["queue:get-artifact:private/*"]);
    assert_eq!(context(&task).scopes(), &expected);
}
