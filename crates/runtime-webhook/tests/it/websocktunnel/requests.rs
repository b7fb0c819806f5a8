//! Requests through a tunnel.

use std::sync::Arc;

use runtime_core::webhook::{Body, Handler, Response, WebHookServer as _, from_fn};
use runtime_webhook::OnDetach;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{body, get, open, read_until, status};

use super::{ID, builder, hook, server};

#[tokio::test]
async fn requests_are_unchanged() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let hook = hook(&tunnel).await;
    assert!(hook.url().starts_with(&server.client_url(ID)));
    for rest in ["", "a%2Fb//c?q=%26&x=/y", "?only=query"] {
        let answer = get(&format!("{}{rest}", hook.url()), "").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(
            body(&answer).contains(&format!("GET /{rest}\n")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn one_tunnel_carries_all_hooks() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let first = hook(&tunnel).await;
    let second = hook(&tunnel).await;
    assert_eq!(server.clients(), [ID]);
    let url = first.url();
    drop(first);
    assert_eq!(status(&get(&url, "").await), 404);
    assert_eq!(status(&get(&second.url(), "").await), 200);
}

#[tokio::test]
async fn large_body_passes_both_ways() {
    let server = server().await;
    let tunnel = builder(&server)
        .windows(100_000, 4 << 20)
        .start()
        .expect("started");
    let hook = hook(&tunnel).await;
    let sent = "0123456789".repeat(500_000);
    let headers = format!("Connection: close\r\nContent-Length: {}\r\n", sent.len());
    let stream = open(&hook, "POST", "big", &headers).await;
    let (mut from, mut to) = stream.into_split();
    let mut answer = String::new();
    let (written, read) = tokio::join!(
        to.write_all(sent.as_bytes()),
        from.read_to_string(&mut answer)
    );
    written.expect("a write");
    read.expect("a response");
    assert!(answer.ends_with(&format!("POST /big\n{sent}")));
}

#[tokio::test]
async fn unread_body_does_not_stall_the_sender() {
    let server = server().await;
    let tunnel = builder(&server)
        .windows(10_000, 4 << 20)
        .start()
        .expect("started");
    let ignore = from_fn(|_| async { Response::new(Body::from("enough")) });
    let hook = tunnel.attach(ignore).await.expect("attached");
    let headers = "Connection: close\r\nContent-Length: 3000000\r\n";
    let mut stream = open(&hook, "POST", "", headers).await;
    // The server may stop reading after the response.
    let _ = stream.write_all(&vec![0; 3_000_000]).await;
    read_until(&mut stream, "enough").await;
}

#[tokio::test]
async fn interim_response_is_never_sent() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let hook = hook(&tunnel).await;
    let headers = "Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n";
    let mut stream = open(&hook, "POST", "", headers).await;
    stream.write_all(b"hi").await.expect("a write");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("a response");
    let last = answer.rsplit("HTTP/1.1 ").next().expect("a status");
    assert!(last.starts_with("200") && last.ends_with("hi"), "{answer}");
}

#[tokio::test]
async fn upgraded_connection_passes_through() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let hook = tunnel.attach(upper()).await.expect("attached");
    let headers = "Connection: Upgrade\r\nUpgrade: upper\r\n";
    let mut stream = open(&hook, "GET", "", headers).await;
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(b"hello").await.expect("a write");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.expect("a response");
    assert_eq!(&answer, b"HELLO");
}

/// Upgrades the connection and echoes all data in upper case.
fn upper() -> Arc<dyn Handler> {
    from_fn(|mut request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let io = upgrade.await.expect("an upgrade");
            let mut io = hyper_util::rt::TokioIo::new(io);
            let mut buffer = [0; 100];
            while let Ok(count @ 1..) = io.read(&mut buffer).await {
                buffer.make_ascii_uppercase();
                io.write_all(&buffer[..count]).await.expect("a write");
            }
        });
        let response = http::Response::builder().status(101);
        let response = response
            .header("connection", "Upgrade")
            .header("upgrade", "upper");
        response.body(Body::empty()).expect("a response")
    })
}

#[tokio::test]
async fn aborted_hook_ends_its_requests() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let endless = from_fn(|_| async {
        let body = futures_util::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
        >();
        Response::new(Body::new(http_body_util::StreamBody::new(body)))
    });
    let hook = tunnel
        .attach_with(endless, OnDetach::Abort)
        .await
        .expect("attached");
    let mut stream = open(&hook, "GET", "", "").await;
    read_until(&mut stream, "\r\n\r\n").await;
    drop(hook);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}
