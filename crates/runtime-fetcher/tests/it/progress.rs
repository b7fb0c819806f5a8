//! Events that a progress listener receives.

use std::time::Duration;

use runtime_fetcher::{FetchStage, MemoryTarget};
use serde_json::json;

use crate::support::{
    RecordedProgress, Server, Step, body, config, context, context_with, get, resolve,
};

#[tokio::test]
async fn fetch_reports_start_and_end() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(5000))).await;
    let recorded = RecordedProgress::default();
    let context = context().with_listener(recorded.listener());
    get(&context, &server.url("/file"))
        .await
        .expect("fetch succeeds");

    assert!(matches!(
        recorded.stages()[..],
        [FetchStage::Started, FetchStage::Finished]
    ));
    let events = recorded.events();
    assert_eq!((events[1].bytes, events[1].total), (5000, Some(5000)));
    assert!(events[1].rate > 0.0);
    let line = events[1].to_string();
    assert!(line.contains("/file: 4.9 KiB of 4.9 KiB, "), "{line}");
}

#[tokio::test]
async fn zero_interval_reports_every_chunk() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(5000))).await;
    let recorded = RecordedProgress::default();
    let mut config = config();
    config.progress_interval = Duration::ZERO;
    let context = context_with(config).with_listener(recorded.listener());
    get(&context, &server.url("/file"))
        .await
        .expect("fetch succeeds");
    let stages = recorded.stages();
    assert!(
        stages
            .iter()
            .any(|stage| matches!(stage, FetchStage::Running)),
        "{stages:?}"
    );
    assert!(recorded.events().is_sorted_by_key(|event| event.bytes));
}

#[tokio::test]
async fn retry_reports_its_cause() {
    let server = Server::start(|request| match request.number {
        0 => Step::answer("500 Oops", &[], b"out of order"),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let recorded = RecordedProgress::default();
    let context = context().with_listener(recorded.listener());
    get(&context, &server.url("/"))
        .await
        .expect("second attempt succeeds");
    assert_eq!(
        *recorded.retries.lock().expect("lock is not poisoned"),
        ["server returned 500: out of order"]
    );
}

#[tokio::test]
async fn failed_fetch_reports_stopped() {
    let server = Server::start(|_| Step::answer("404 Not Found", &[], b"")).await;
    let recorded = RecordedProgress::default();
    let context = context().with_listener(recorded.listener());
    get(&context, &server.url("/"))
        .await
        .expect_err("server returns 404");
    assert!(matches!(
        recorded.stages()[..],
        [FetchStage::Started, FetchStage::Stopped]
    ));
}

#[tokio::test]
async fn dropped_fetch_reports_stopped() {
    let server = Server::start(|_| vec![Step::Stall]).await;
    let recorded = RecordedProgress::default();
    let context = context().with_listener(recorded.listener());
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = MemoryTarget::new(10);
    let fetch = reference.fetch(&context, &mut target);
    tokio::time::timeout(Duration::from_millis(20), fetch)
        .await
        .expect_err("server stalls");
    assert!(matches!(
        recorded.stages()[..],
        [FetchStage::Started, FetchStage::Stopped]
    ));
}

#[tokio::test]
async fn panicking_listener_does_not_fail_the_fetch() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(5000))).await;
    let context = context().with_listener(|_| panic!("a broken progress bar"));
    let fetched = get(&context, &server.url("/file")).await;
    assert_eq!(fetched.expect("fetch succeeds").len(), 5000);
    // The last event of a failed fetch is reported by a destructor, where a panic would abort this process.
    let server = Server::start(|_| Step::answer("404 Not Found", &[], b"")).await;
    let fetched = get(&context, &server.url("/file")).await;
    fetched.expect_err("it is missing");
}
