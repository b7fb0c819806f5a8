//! What a listener hears.

use std::time::Duration;

use runtime_fetcher::{MemoryTarget, Stage};
use serde_json::json;

use crate::support::{Server, Step, Told, body, config, context, context_with, get, resolve};

#[tokio::test]
async fn a_fetch_tells_its_start_and_its_end() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(5000))).await;
    let told = Told::default();
    let context = context().with_listener(told.clone());
    get(&context, &server.url("/file"))
        .await
        .expect("it is there");

    assert_eq!(told.stages(), [Stage::Started, Stage::Finished]);
    let events = told.events();
    assert_eq!((events[1].bytes, events[1].total), (5000, Some(5000)));
    assert!(events[1].rate > 0.0);
    let line = events[1].to_string();
    assert!(line.contains("/file: 4.9 KiB of 4.9 KiB, "), "{line}");
}

#[tokio::test]
async fn without_an_interval_every_piece_is_told() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(5000))).await;
    let told = Told::default();
    let mut config = config();
    config.progress_interval = Duration::ZERO;
    let context = context_with(config).with_listener(told.clone());
    get(&context, &server.url("/file"))
        .await
        .expect("it is there");
    let stages = told.stages();
    assert!(stages.contains(&Stage::Running), "{stages:?}");
    assert!(told.events().is_sorted_by_key(|event| event.bytes));
}

#[tokio::test]
async fn a_failed_attempt_is_told_with_its_cause() {
    let server = Server::start(|request| match request.number {
        0 => Step::answer("500 Oops", &[], b"out of order"),
        _ => Step::answer("200 OK", &[], b"hello"),
    })
    .await;
    let told = Told::default();
    let context = context().with_listener(told.clone());
    get(&context, &server.url("/"))
        .await
        .expect("the second attempt works");
    assert_eq!(
        *told.retries.lock().expect("no panic"),
        ["the server answered 500: out of order"]
    );
}

#[tokio::test]
async fn a_failed_fetch_tells_that_it_stopped() {
    let server = Server::start(|_| Step::answer("404 Not Found", &[], b"")).await;
    let told = Told::default();
    let context = context().with_listener(told.clone());
    get(&context, &server.url("/"))
        .await
        .expect_err("it is not there");
    assert_eq!(told.stages(), [Stage::Started, Stage::Stopped]);
}

#[tokio::test]
async fn a_dropped_fetch_tells_that_it_stopped() {
    let server = Server::start(|_| vec![Step::Stall]).await;
    let told = Told::default();
    let context = context().with_listener(told.clone());
    let reference = resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = MemoryTarget::new(10);
    let fetch = reference.fetch(&context, &mut target);
    tokio::time::timeout(Duration::from_millis(20), fetch)
        .await
        .expect_err("nothing comes");
    assert_eq!(told.stages(), [Stage::Started, Stage::Stopped]);
}
