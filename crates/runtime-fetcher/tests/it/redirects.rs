//! Redirects: followed by our rules, and never away from HTTP.

use runtime_core::error_chain;

use crate::faults::check_broken;
use crate::support::{Server, Step, context, get};

#[tokio::test]
async fn redirects_are_followed_with_their_relative_locations() {
    let server = Server::start(|request| match request.path.as_str() {
        "/a/start" => Step::answer("302 Found", &[("Location", "../b/next")], b""),
        "/b/next" => Step::answer("307 Temporary Redirect", &[("Location", "/end")], b""),
        _ => Step::answer("200 OK", &[], b"the end"),
    })
    .await;
    let bytes = get(&context(), &server.url("/a/start"))
        .await
        .expect("it leads somewhere");
    assert_eq!(bytes, "the end");
    let paths: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/a/start", "/b/next", "/end"]);
}

#[tokio::test]
async fn redirects_in_a_loop_are_a_broken_reference() {
    let server = Server::start(|_| Step::answer("302 Found", &[("Location", "/again")], b"")).await;
    let error = get(&context(), &server.url("/"))
        .await
        .expect_err("it never ends");
    assert!(error.is_broken_reference());
    assert!(error_chain(&error).contains("gave up after 10 redirects"));
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn a_redirect_away_from_http_is_refused() {
    let steps = Step::answer("302 Found", &[("Location", "file:///etc/passwd")], b"");
    check_broken(steps, "it leads away from HTTP").await;
}

#[tokio::test]
async fn a_redirect_without_a_location_is_refused() {
    check_broken(Step::answer("302 Found", &[], b""), "no location").await;
}
