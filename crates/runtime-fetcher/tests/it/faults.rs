//! Servers that misbehave: whose fault it is, what the error says, and that nothing is committed.

use std::time::Duration;

use runtime_core::{ExceptionReason, TaskError, error_chain};
use runtime_fetcher::{FetchConfig, FetchError};
use serde_json::json;

use crate::encodings::gzip;
use crate::support::{
    Server, Step, body, config, context, context_with, get, get_reference, impatient,
};

/// Fetches from a server that always does `steps`, which must fail.
async fn failure(steps: Vec<Step>) -> (FetchError, usize) {
    failure_with(config(), steps).await
}

async fn failure_with(config: FetchConfig, steps: Vec<Step>) -> (FetchError, usize) {
    let server = Server::start(move |_| steps.clone()).await;
    let error = get(&context_with(config), &server.url("/file?token=secret"))
        .await
        .expect_err("it must fail");
    let text = error_chain(&error);
    assert!(
        !text.contains("secret"),
        "the query must stay out of: {text}"
    );
    (error, server.requests().len())
}

pub(crate) async fn check_broken(steps: Vec<Step>, text: &str) {
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 1, "a broken reference is not tried again");
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
    assert_eq!(requests, 5, "it is tried as often as the policy says");
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
async fn what_is_not_there_or_forbidden_is_a_broken_reference() {
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "410 Gone",
    ] {
        let code = &status[..3];
        let steps = Step::answer(status, &[], b"go away\nplease");
        check_broken(steps, &format!("the server answered {code}: go away")).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_transient_even_when_it_does_not_pass() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let steps = Step::answer(&format!("{status} Sorry"), &[], b"busy");
        check_transient(steps, &format!("the server answered {status}: busy")).await;
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
        .expect("the third time works");
    assert_eq!(bytes, "at last");
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_transient() {
    check_transient(vec![Step::Close], "no answer from `127.0.0.1`").await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_transient() {
    let mut config = config();
    // Enough for a connection also from a machine that is slow.
    config.connect_timeout = Duration::from_secs(1);
    config.stall_timeout = Duration::from_millis(100);
    config.retry.max_attempts = 1;
    let server = Server::start(|_| vec![Step::Stall]).await;
    let error = get(&context_with(config), &server.url("/"))
        .await
        .expect_err("nothing comes");
    assert!(error.is_transient());
    assert!(
        error_chain(&error).contains("not a byte came within 1.1s"),
        "{}",
        error_chain(&error)
    );
}

#[tokio::test]
async fn nobody_listening_is_transient() {
    // It keeps the port from others, and does not listen.
    let socket = tokio::net::TcpSocket::new_v4().expect("there are sockets");
    let any = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(any).expect("there is a free port");
    let url = format!("http://{}/", socket.local_addr().expect("it is bound"));
    let error = get(&context(), &url).await.expect_err("nobody is there");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_body_that_stands_still_is_transient() {
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
    assert!(text.contains("not a byte came within 300ms"), "{text}");
}

#[tokio::test]
async fn a_connection_that_is_always_torn_down_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "100")]),
        Step::text("only this"),
        Step::Reset,
    ];
    // How much was read before is up to the system.
    check_transient(steps, "").await;
}

#[tokio::test]
async fn a_body_shorter_than_promised_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "100")]),
        Step::text("only this"),
        Step::Close,
    ];
    check_transient(steps, "the body broke off after 9 bytes").await;
}

#[tokio::test]
async fn a_broken_chunk_is_transient() {
    let steps = vec![
        Step::head("200 OK", &[("Transfer-Encoding", "chunked")]),
        Step::text("5\r\nhello\r\nnot a length\r\n"),
    ];
    check_transient(steps, "the body broke off after 5 bytes").await;
}

#[tokio::test]
async fn ten_thousand_headers_are_refused() {
    let lines: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let steps = vec![
        Step::text(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")),
        Step::Close,
    ];
    check_transient(steps, "no answer from").await;
}

#[tokio::test]
async fn bytes_past_the_promised_length_are_not_part_of_the_body() {
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
        .expect("five bytes were promised");
    assert_eq!(bytes, "hello");
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let steps = vec![
        Step::head("200 OK", &[("Connection", "close")]),
        Step::SendForEver(vec![0; 64 * 1024]),
    ];
    check_broken(steps, "more than the 1048576 bytes").await;
}

#[tokio::test]
async fn a_body_that_is_promised_to_be_too_large_is_not_waited_for() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "1048577")]),
        Step::Stall,
    ];
    check_broken(steps, "more than the 1048576 bytes").await;
}

#[tokio::test]
async fn a_body_that_swells_ends_at_the_limit() {
    let steps = Step::answer(
        "200 OK",
        &[("Content-Encoding", "gzip")],
        &gzip(&vec![0; 64 << 20]),
    );
    check_broken(steps, "more than the 1048576 bytes").await;
}

#[tokio::test]
async fn an_unknown_encoding_is_a_broken_reference() {
    let long = "rot13".repeat(100);
    for (encoding, shown) in [("rot13", "rot13"), (long.as_str(), &long[..40])] {
        let steps = Step::answer("200 OK", &[("Content-Encoding", encoding)], b"uryyb");
        check_broken(steps, &format!("encoded as `{shown}`")).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_decode_is_broken_after_a_second_look() {
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
async fn an_error_body_is_cut_and_not_lost() {
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
async fn a_wait_longer_than_the_budget_is_not_waited() {
    let steps = Step::answer("503 Service Unavailable", &[("Retry-After", "3600")], b"");
    let (error, requests) = failure(steps).await;
    assert_eq!(requests, 1);
    assert!(error.is_transient(), "{error:?}");
    let text = error_chain(&error);
    assert!(text.contains("503 and asked to wait for 3600 s"), "{text}");
}

#[tokio::test]
async fn a_body_that_always_breaks_at_the_same_place_is_given_up() {
    let steps = vec![
        Step::head("200 OK", &[("Content-Length", "1000000")]),
        Step::Send(body(500_000)),
        Step::Close,
    ];
    check_transient(steps, "the body broke off after 500000 bytes").await;
}

#[tokio::test]
async fn a_full_memory_target_is_the_references_fault() {
    let server = Server::start(|_| Step::answer("200 OK", &[], &body(100))).await;
    let context = context();
    let reference = crate::support::resolve(&context, json!({ "url": server.url("/") })).await;
    let mut target = runtime_fetcher::MemoryTarget::new(99);
    let error = reference
        .fetch(&context, &mut target)
        .await
        .expect_err("it is one byte too much");
    assert!(error.is_broken_reference());
    assert_eq!(target.bytes(), None);
}

#[tokio::test]
async fn file_urls_are_refused_without_any_attempt() {
    let context = context();
    let fetcher = runtime_fetcher::Combine::standard();
    let reference = json!({ "url": "file:///etc/passwd" });
    let error = runtime_fetcher::Fetcher::resolve(&fetcher, &context, &reference).await;
    let error = error.expect_err("files are not fetched");
    assert!(error.to_string().contains("the scheme `file`"), "{error}");
}

#[tokio::test]
async fn the_server_hears_who_asks() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let mut config = config();
    config.user_agent = "worker/7".to_owned();
    let context = context_with(config);
    get(&context, &server.url("/")).await.expect("it is there");
    let agent = server.requests()[0].header("user-agent").map(str::to_owned);
    assert_eq!(agent.as_deref(), Some("worker/7"));
}

#[tokio::test]
async fn connections_are_kept_for_the_next_request() {
    const TIMES: usize = 20;
    let server = Server::start(|_| Step::answer("200 OK", &[], b"hello")).await;
    let context = context();
    for _ in 0..TIMES {
        get(&context, &server.url("/")).await.expect("it is there");
    }
    // One may be made while the last is on its way back to where they are kept.
    assert!(server.connections() < TIMES / 2, "{}", server.connections());
}

#[tokio::test]
async fn an_empty_body_is_a_body() {
    let server = Server::start(|_| Step::answer("200 OK", &[], b"")).await;
    let bytes = get_reference(&context(), json!({ "url": server.url("/") })).await;
    assert_eq!(bytes.expect("nothing is something"), "");
}
