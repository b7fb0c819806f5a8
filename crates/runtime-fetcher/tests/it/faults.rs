//! Misbehaving servers: the class and the text of the error.

use std::time::Duration;

use runtime_core::{ExceptionReason, TaskError, error_chain};
use runtime_fetcher::{FetchConfig, FetchError};
use serde_json::json;

use crate::encodings::gzip;
use crate::support::{
    Server, Step, body, config, context, context_with, get, get_reference, impatient,
};

/// Returns the error of fetching from a server that always runs `steps`.
async fn failure(steps: Vec<Step>) -> (FetchError, usize) {
    failure_with(config(), steps).await
}

async fn failure_with(config: FetchConfig, steps: Vec<Step>) -> (FetchError, usize) {
    let server = Server::start(move |_| steps.clone()).await;
    let error = get(&context_with(config), &server.url("/file?token=secret"))
        .await
        .expect_err("fetch fails");
    let text = error_chain(&error);
    assert!(!text.contains("secret"), "contains the query: {text}");
    (error, server.requests().len())
}

pub(crate) async fn check_broken(steps: Vec<Step>, text: &str) {
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 1, "a broken reference is not retried");
    assert!(
        error.is_broken_reference() && !error.is_transient(),
        "{error:?}"
    );
    assert_eq!(error.exception_reason(), ExceptionReason::MalformedPayload);
    assert!(
        error_chain(&error).contains(text),
        "`{text}` is not in: {}",
        error_chain(&error)
    );
    assert!(TaskError::from(error).as_malformed_payload().is_some());
}

async fn check_transient(steps: Vec<Step>, text: &str) {
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 5, "the policy allows five attempts");
    assert!(
        error.is_transient() && !error.is_broken_reference(),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("gave up after 5 attempts"),
        "{error}"
    );
    assert_eq!(
        error.exception_reason(),
        ExceptionReason::ResourceUnavailable
    );
    assert!(
        error_chain(&error).contains(text),
        "`{text}` is not in: {}",
        error_chain(&error)
    );
    assert!(matches!(
        TaskError::from(error),
        TaskError::ResourceUnavailable(_)
    ));
}

#[tokio::test]
async fn client_errors_are_a_broken_reference() {
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "410 Gone",
    ] {
        let code = &status[..3];
        let steps = Step::answer(status, &[], b"go away\nplease");
        check_broken(steps, &format!("server returned {code}: go away")).await;
    }
}

#[tokio::test]
async fn server_errors_are_transient() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let steps = Step::answer(&format!("{status} Sorry"), &[], b"busy");
        check_transient(steps, &format!("server returned {status}: busy")).await;
    }
}

#[tokio::test]
async fn fetch_retries_after_503_and_succeeds() {
    let server = Server::start(|request| match request.number {
        0 | 1 => Step::answer("503 Service Unavailable", &[], b""),
        _ => Step::answer("200 OK", &[], b"at last"),
    })
    .await;
    let bytes = get(&context(), &server.url("/"))
        .await
        .expect("third attempt succeeds");
    assert_eq!(bytes, "at last");
}

#[tokio::test]
async fn close_before_response_is_transient() {
    check_transient(vec![Step::Close], "no response from `127.0.0.1`").await;
}

#[tokio::test]
async fn missing_response_is_transient() {
    let mut config = config();
    // Long enough to connect on a slow machine.
    config.connect_timeout = Duration::from_secs(1);
    config.stall_timeout = Duration::from_millis(100);
    config.retry.max_attempts = 1;
    let server = Server::start(|_| vec![Step::Stall]).await;
    let error = get(&context_with(config), &server.url("/"))
        .await
        .expect_err("server stalls");
    assert!(error.is_transient());
    assert!(
        error_chain(&error).contains("no data received for 1.1s"),
        "{}",
        error_chain(&error)
    );
}

#[tokio::test]
async fn refused_connection_is_transient() {
    // A bound socket that does not listen keeps the port unused.
    let socket = tokio::net::TcpSocket::new_v4().expect("socket is created");
    let any = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(any).expect("a port is free");
    let url = format!("http://{}/", socket.local_addr().expect("socket is bound"));
    let error = get(&context(), &url).await.expect_err("nothing listens");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn stalled_body_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "100")]),
        Step::text("only this"),
        Step::Stall,
    ];
    let mut config = impatient(config());
    config.retry.max_attempts = 2;
    let (error, _) = failure_with(config, steps).await;
    assert!(error.is_transient(), "{error:?}");
    let text = error_chain(&error);
    assert!(text.contains("no data received for 300ms"), "{text}");
}

#[tokio::test]
async fn repeated_connection_reset_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "100")]),
        Step::text("only this"),
        Step::Reset,
    ];
    // The system decides how many bytes are read before.
    check_transient(steps, "").await;
}

#[tokio::test]
async fn truncated_body_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "100")]),
        Step::text("only this"),
        Step::Close,
    ];
    check_transient(steps, "connection lost after 9 bytes").await;
}

#[tokio::test]
async fn invalid_chunk_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Transfer-Encoding", "chunked")]),
        Step::text("5\r\nhello\r\nnot a length\r\n"),
    ];
    check_transient(steps, "connection lost after 5 bytes").await;
}

#[tokio::test]
async fn excessive_headers_are_refused() {
    let lines: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let steps = vec![
        Step::text(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")),
        Step::Close,
    ];
    check_transient(steps, "no response from").await;
}

#[tokio::test]
async fn bytes_after_the_announced_length_are_ignored() {
    let server = Server::start(|_| {
        vec![
            Step::head("200 OK", &[("Content-Length", "5")]),
            Step::text("helloXXXXX"),
            Step::Close,
        ]
    })
    .await;
    let bytes = get(&context(), &server.url("/"))
        .await
        .expect("five bytes were announced");
    assert_eq!(bytes, "hello");
}

#[tokio::test]
async fn endless_body_is_limited() {
    let steps = vec![
        Step::head("200 OK", &[("Connection", "close")]),
        Step::SendForEver(vec![0; 64 * 1024]),
    ];
    check_broken(steps, "larger than the limit of 1048576 bytes").await;
}

#[tokio::test]
async fn announced_length_over_the_limit_fails_early() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "1048577")]),
        Step::Stall,
    ];
    check_broken(steps, "larger than the limit of 1048576 bytes").await;
}

#[tokio::test]
async fn decoded_bytes_are_limited() {
    let steps = Step::answer(
        "200 OK",
        &[("Content-Encoding", "gzip")],
        &gzip(&vec![0; 64 << 20]),
    );
    check_broken(steps, "larger than the limit of 1048576 bytes").await;
}

#[tokio::test]
async fn unknown_encoding_is_a_broken_reference() {
    let long = "rot13".repeat(100);
    for (encoding, shown) in [("rot13", "rot13"), (long.as_str(), &long[..40])] {
        let steps = Step::answer("200 OK", &[("Content-Encoding", encoding)], b"uryyb");
        check_broken(steps, &format!("content encoding `{shown}`")).await;
    }
}

#[tokio::test]
async fn undecodable_body_is_retried_once() {
    let steps = Step::answer(
        "200 OK",
        &[("Content-Encoding", "gzip")],
        b"this is not gzip at all",
    );
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 2);
    assert!(error.is_broken_reference());
    assert!(
        error_chain(&error).contains("not valid gzip"),
        "{}",
        error_chain(&error)
    );
}

#[tokio::test]
async fn error_body_is_cut() {
    let long = format!("{}END", "x".repeat(20_000));
    let (error, _) = failure(Step::answer("404 Not Found", &[], long.as_bytes())).await;
    let FetchError::Broken {
        source: runtime_fetcher::AttemptError::Status { body, .. },
        ..
    } = error
    else {
        panic!("another error: {error:?}");
    };
    assert_eq!(body, "x".repeat(8 * 1024));
}

#[tokio::test]
async fn retry_after_over_the_budget_gives_up() {
    let steps = Step::answer("503 Service Unavailable", &[("Retry-After", "3600")], b"");
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 1);
    assert!(error.is_transient(), "{error:?}");
    let text = error_chain(&error);
    assert!(text.contains("503 with `Retry-After: 3600`"), "{text}");
}

#[tokio::test]
async fn repeated_break_at_one_offset_exhausts_retries() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "1000000")]),
        Step::Send(body(500_000)),
        Step::Close,
    ];
    check_transient(steps, "connection lost after 500000 bytes").await;
}

#[tokio::test]
async fn memory_limit_is_a_broken_reference() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(100))).await;
    let context = context();
    let reference = crate::support::resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = runtime_fetcher::MemoryTarget::new(99);
    let error = reference
        .fetch(&context, &mut target)
        .await
        .expect_err("limit is exceeded");
    assert!(error.is_broken_reference());
    assert_eq!(target.bytes(), None);
}

#[tokio::test]
async fn file_urls_are_invalid() {
    let context = context();
    let fetcher = runtime_fetcher::Combine::standard();
    let reference = json!({ "url": "file:///etc/passwd" });
    let error = runtime_fetcher::Fetcher::resolve(&fetcher, &context, &reference).await;
    let error = error.expect_err("scheme is unsupported");
    assert!(error.to_string().contains("scheme `file`"), "{error}");
}

#[tokio::test]
async fn user_agent_is_sent() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let mut config = config();
    config.user_agent = "worker/7".to_owned();
    let context = context_with(config);
    get(&context, &server.url("/"))
        .await
        .expect("fetch succeeds");
    let agent = server.requests()[0].header("user-agent").map(str::to_owned);
    assert_eq!(agent.as_deref(), Some("worker/7"));
}

#[tokio::test]
async fn connections_are_reused() {
    const TIMES: usize = 20;
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let context = context();
    for _ in 0..TIMES {
        get(&context, &server.url("/"))
            .await
            .expect("fetch succeeds");
    }
    // A new connection may be opened while the last one is being returned to the pool.
    assert!(server.connections() < TIMES / 2, "{}", server.connections());
}

#[tokio::test]
async fn empty_body_is_fetched() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"")).await;
    let bytes = get_reference(&context(), json!({ "url": server.url("/") })).await;
    assert_eq!(bytes.expect("empty body is valid"), "");
}
