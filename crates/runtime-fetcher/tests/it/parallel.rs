//! Parallel ranges.

use std::time::Duration;

use runtime_fetcher::{FetchContext, ParallelPolicy};

use crate::support::{Request, Server, Step, body, config, context_with, get};

const LENGTH: usize = 400_000;
const RANGE: usize = 10_000;

/// Returns a context that uses several connections from the first chunk.
fn eager() -> FetchContext {
    let mut config = config();
    config.parallel = ParallelPolicy {
        range_bytes: RANGE as u64,
        min_remaining: Duration::ZERO,
        window: Duration::ZERO,
        ..ParallelPolicy::default()
    };
    context_with(config)
}

/// Stalls after the first bytes of a whole body, so that only ranges deliver the rest.
fn slow_without_range(request: &Request, bytes: &[u8]) -> Vec<Step> {
    let mut steps = request.answer("\"v1\"", bytes);
    if request.range().is_none() {
        steps[1] = Step::Send(bytes[..RANGE].to_vec());
        steps.push(Step::Stall);
    }
    steps
}

fn ranges(server: &Server) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| matches!(request.range(), Some((_, Some(_)))))
        .count()
}

#[tokio::test]
async fn large_body_uses_parallel_ranges() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| slow_without_range(request, &bytes)).await;
    let fetched = get(&eager(), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert!(fetched == body(LENGTH));
    assert!(ranges(&server) >= 2);
    for request in server.requests().iter().skip(1) {
        assert_eq!(
            request.header("if-range"),
            Some("\"v1\""),
            "ranges are of one version"
        );
    }
}

#[tokio::test]
async fn short_rest_stays_on_one_connection() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| request.answer("\"v1\"", &bytes)).await;
    let mut config = config();
    config.parallel.window = Duration::ZERO;
    config.parallel.min_remaining = Duration::from_secs(3600);
    let context = context_with(config);
    get(&context, &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn maximum_numbers_are_valid_configuration() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| slow_without_range(request, &bytes)).await;
    let mut config = eager().config().clone();
    config.parallel.max_connections = usize::MAX;
    config.parallel.max_extra_connections = usize::MAX;
    config.parallel.range_bytes = u64::MAX;
    config.max_redirects = usize::MAX;
    config.max_bytes = u64::MAX;
    config.connect_timeout = Duration::MAX;
    config.stall_timeout = Duration::MAX;
    config.progress_interval = Duration::MAX;
    config.min_throughput.window = Duration::MAX;
    config.min_throughput.min_bytes = u64::MAX;
    config.retry.max_attempts = u32::MAX;
    config.retry.first_delay = Duration::MAX;
    config.retry.max_delay = Duration::from_millis(1);
    config.retry.budget = Duration::MAX;
    let bytes = get(&context_with(config), &server.url("/")).await;
    assert!(bytes.expect("fetch succeeds") == body(LENGTH));
}

#[tokio::test]
async fn parallel_ranges_can_be_turned_off() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| request.answer("\"v1\"", &bytes)).await;
    let mut config = config();
    config.parallel.window = Duration::ZERO;
    config.parallel.min_remaining = Duration::ZERO;
    config.parallel.max_connections = 1;
    get(&context_with(config), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn no_range_support_means_one_request() {
    for headers in [
        vec![("ETag", "\"v1\"")],
        vec![("Accept-Ranges", "bytes")],
        vec![("ETag", "W/\"v1\""), ("Accept-Ranges", "bytes")],
        vec![("ETag", "\"v1\""), ("Accept-Ranges", "none")],
    ] {
        let server = Server::start(move |_| Step::answer("200 OK", &headers, &body(LENGTH))).await;
        let bytes = get(&eager(), &server.url("/"))
            .await
            .expect("fetch succeeds");
        assert!(bytes == body(LENGTH));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn no_extra_connections_means_one_request() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| request.answer("\"v1\"", &bytes)).await;
    let mut config = eager().config().clone();
    config.parallel.max_extra_connections = 0;
    let bytes = get(&context_with(config), &server.url("/")).await;
    assert!(bytes.expect("fetch succeeds") == body(LENGTH));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn range_of_another_version_restarts() {
    let (old, new) = (body(LENGTH), body(LENGTH + 1));
    let server = Server::start(move |request| match request.number {
        0..2 => slow_without_range(request, &old),
        _ if request.header("if-range") == Some("\"v1\"") => {
            Step::answer("200 OK", &[("ETag", "\"v2\"")], &new)
        }
        _ => request.answer("\"v2\"", &new),
    })
    .await;
    let bytes = get(&eager(), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert!(bytes == body(LENGTH + 1));
}

#[tokio::test]
async fn rejected_ranges_fall_back_to_one_connection() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.range() {
        Some((_, Some(_))) => Step::answer("403 Forbidden", &[], b"one at a time"),
        _ => request.answer("\"v1\"", &bytes),
    })
    .await;
    let bytes = get(&eager(), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert!(bytes == body(LENGTH));
}

#[tokio::test]
async fn broken_ranges_are_requested_again() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| {
        let mut steps = slow_without_range(request, &bytes);
        if request.number == 3 {
            // Correct bytes, because the client may keep the bytes it received before the break.
            let start = request.range_start().unwrap_or(0);
            steps[1] = Step::Send(bytes[start..start + 10].to_vec());
            steps.push(Step::Reset);
        }
        steps
    })
    .await;
    let bytes = get(&eager(), &server.url("/"))
        .await
        .expect("fetch succeeds");
    assert!(bytes == body(LENGTH));
}

#[tokio::test]
async fn range_of_wrong_length_is_discarded() {
    for wrong in [9, 1] {
        let bytes = body(LENGTH);
        let server = Server::start(move |request| match request.range() {
            Some((start, Some(last))) if request.number < 4 => {
                let range = format!("bytes {start}-{last}/{LENGTH}");
                let headers = [("ETag", "\"v1\""), ("Content-Range", range.as_str())];
                let length = if wrong == 1 { RANGE - 1 } else { RANGE + wrong };
                Step::answer("206 Partial Content", &headers, &vec![0; length])
            }
            _ => slow_without_range(request, &bytes),
        })
        .await;
        let bytes = get(&eager(), &server.url("/"))
            .await
            .expect("fetch succeeds");
        assert!(bytes == body(LENGTH));
    }
}

#[tokio::test]
async fn endless_range_is_bounded() {
    let bytes = body(LENGTH);
    let server = Server::start(move |request| match request.range() {
        Some((start, Some(last))) if request.number < 4 => {
            let range = format!("bytes {start}-{last}/{LENGTH}");
            let headers = [
                ("ETag", "\"v1\""),
                ("Content-Range", range.as_str()),
                ("Connection", "close"),
            ];
            let head = Step::head("206 Partial Content", &headers);
            vec![head, Step::SendForEver(vec![0; 64 * 1024])]
        }
        _ => slow_without_range(request, &bytes),
    })
    .await;
    let bytes = get(&eager(), &server.url("/")).await;
    assert!(bytes.expect("fetch succeeds") == body(LENGTH));
}
