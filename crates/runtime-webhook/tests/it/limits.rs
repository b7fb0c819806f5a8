//! Limits of connections and requests.

use std::time::Duration;

use crate::localhost::{UPGRADE, echo, start, upgrading};
use crate::support::{exchange, get, open, read_until, split, status};
use runtime_core::webhook::{Body, Response, WebHookServer as _, from_fn};
use runtime_webhook::{HttpLimits, LocalhostServer};
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn oversized_head_is_rejected() {
    let server = start().await;
    let hook = server.attach(echo()).await.expect("attached");
    let large = format!("X-Large: {}\r\n", "x".repeat(128 * 1024));
    assert_eq!(status(&get(&hook.url(), &large).await), 431);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(status(&get(&hook.url(), &many).await), 431);
    let malformed = exchange(server.local_addr(), "GET nonsense\r\n\r\n").await;
    assert_eq!(status(&malformed), 400);
    assert_eq!(status(&get(&hook.url(), "").await), 200);
}

#[tokio::test(start_paused = true)]
async fn incomplete_head_times_out() {
    let server = start().await;
    let hook = server.attach(echo()).await.expect("attached");
    let (address, path) = split(&hook.url());
    let started = tokio::time::Instant::now();
    let answer = exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n")).await;
    assert_eq!(answer, "");
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn client_that_reads_nothing_is_disconnected() {
    let server = start().await;
    let handler = from_fn(|_| async {
        let all = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(http_body::Frame::data(bytes::Bytes::from_static(
                &[b'x'; 65536],
            )))
        });
        Response::new(Body::new(http_body_util::StreamBody::new(all)))
    });
    let hook = server.attach(handler).await.expect("attached");
    let stream = open(&hook, "GET", "", "").await;
    // Only the write timeout ends this request: the response is endless and is not read.
    assert_eq!(server.stop(Duration::from_secs(3600)).await, 0);
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn hanging_handler_times_out() {
    let server = start().await;
    let hook = server.attach(from_fn(|_| std::future::pending())).await;
    let hook = hook.expect("attached");
    let started = tokio::time::Instant::now();
    assert_eq!(status(&get(&hook.url(), "").await), 503);
    assert_eq!(started.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let mut limits = HttpLimits::default();
    limits.max_connections = 1;
    let server = LocalhostServer::builder()
        .limits(limits)
        .start()
        .await
        .expect("a free port");
    let hook = server.attach(upgrading()).await.expect("attached");
    let mut first = open(&hook, "GET", "", UPGRADE).await;
    read_until(&mut first, "\r\n\r\n").await;
    let mut second = open(&hook, "GET", "", UPGRADE).await;
    let early = tokio::time::timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(early.is_err(), "the second connection was not accepted");
    drop(first);
    read_until(&mut second, "101").await;
}

#[tokio::test]
async fn extreme_timeouts_are_no_overflow() {
    for timeout in [Duration::from_secs(1), Duration::MAX] {
        let mut limits = HttpLimits::default();
        limits.header_timeout = timeout;
        limits.body_timeout = timeout;
        limits.response_timeout = timeout;
        limits.write_timeout = timeout;
        let server = LocalhostServer::builder().limits(limits).start().await;
        let server = server.expect("started");
        let hook = server.attach(echo()).await.expect("attached");
        assert_eq!(status(&get(&hook.url(), "").await), 200, "{timeout:?}");
    }
}
