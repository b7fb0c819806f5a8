//! Concurrent requests for the same bytes from different servers.

use futures_util::future::join;
use runtime_caching::LookupOutcome;
use runtime_core::error_chain;
use runtime_fetcher::FetchCacheError;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::cache::{check_content, open, require, serve};
use crate::support::{Server, Step, body, digest};

fn with_hash(server: &Server, path: &str) -> Value {
    let hash = digest::<Sha256>(&body(300_000));
    json!({ "url": server.url(path), "sha256": hash })
}

fn text_of(error: &FetchCacheError) -> String {
    error_chain(error)
}

#[tokio::test]
async fn bad_url_fails_only_its_own_task() {
    let root = tempfile::tempdir().expect("disk has space");
    let bad = Server::start(|_| Step::answer("404 Not Found", &[], b"no such file")).await;
    let good = serve().await;
    let cache = open(root.path()).await;
    let (first, second) = join(
        require(&cache, with_hash(&bad, "/bad")),
        require(&cache, with_hash(&good, "/good")),
    )
    .await;
    let error = first.expect_err("server returns 404");
    let text = text_of(&error);
    let url = bad.url("/bad");
    assert!(text.starts_with(&format!("cannot fetch {url}: ")), "{text}");
    check_content(&second.expect("its own server has the bytes"));
    assert_eq!(bad.requests().len(), 1);
}

#[tokio::test]
async fn joined_task_with_a_bad_url_gets_its_own_error() {
    let root = tempfile::tempdir().expect("disk has space");
    let bad = Server::start(|_| Step::answer("404 Not Found", &[], b"no such file")).await;
    let good = serve().await;
    let cache = open(root.path()).await;
    let (first, second) = join(
        require(&cache, with_hash(&good, "/good")),
        require(&cache, with_hash(&bad, "/bad")),
    )
    .await;
    check_content(&first.expect("server has the bytes"));
    let text = text_of(&second.expect_err("server returns 404"));
    assert!(text.contains(&bad.url("/bad")), "{text}");
    // Once the bytes are in the cache, no server is asked.
    let third = require(&cache, with_hash(&bad, "/bad")).await;
    assert_eq!(
        third.expect("bytes are cached").lookup(),
        LookupOutcome::Hit
    );
}

#[tokio::test]
async fn stalling_server_delays_only_its_own_task() {
    let root = tempfile::tempdir().expect("disk has space");
    let slow = Server::start(|_| vec![Step::head("200 OK", &[]), Step::Stall]).await;
    let good = serve().await;
    let cache = open(root.path()).await;
    let mut waiting = Box::pin(require(&cache, with_hash(&slow, "/slow")));
    tokio::select! {
        biased;
        result = &mut waiting => panic!("the server stalls: {result:?}"),
        input = require(&cache, with_hash(&good, "/good")) => {
            check_content(&input.expect("its own server has the bytes"));
        }
    }
    assert_eq!(cache.len(), 2, "the stalling fetch and the input");
    drop(waiting);
    let input = require(&cache, with_hash(&slow, "/slow")).await;
    assert_eq!(
        input.expect("bytes are cached").lookup(),
        LookupOutcome::Hit
    );
}

#[tokio::test]
async fn error_does_not_mention_the_cache() {
    let root = tempfile::tempdir().expect("disk has space");
    let bad = Server::start(|_| Step::answer("404 Not Found", &[], b"no such file")).await;
    let cache = open(root.path()).await;
    let error = require(&cache, json!({ "url": bad.url("/") })).await;
    let text = text_of(&error.expect_err("server returns 404"));
    assert_eq!(
        text,
        format!(
            "cannot fetch {}: broken reference: server returned 404: no such file",
            bad.url("/")
        )
    );
}
