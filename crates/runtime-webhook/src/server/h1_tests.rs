//! HTTP/1.1 with slow clients, over an in-memory pipe.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use runtime_core::Monitor;
use runtime_core::webhook::{Body, Handler, Response, WebHook, from_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::hook_server::HookServer;
use super::serve::{ConnectionKind, spawn_connection};
use crate::http_limits::HttpLimits;
use crate::registry::OnDetach;

/// Longer than any limit.
const LONG: Duration = Duration::from_secs(3600);

/// Responds with the request body, or with the text of its error.
fn echo() -> Arc<dyn Handler> {
    from_fn(|request| async move {
        let body = match request.into_body().collect().await {
            Ok(body) => Body::from(body.to_bytes()),
            Err(error) => Body::from(error.to_string()),
        };
        Response::new(body)
    })
}

fn start(handler: Arc<dyn Handler>) -> (Arc<HookServer>, WebHook) {
    let server = Arc::new(HookServer::new(
        HttpLimits::default(),
        &Monitor::null(),
        None,
    ));
    server.registry.set_base_url("/");
    let hook = server.attach(handler, OnDetach::Finish);
    let hook = hook.expect("attached").into_fixed_web_hook();
    (server, hook)
}

/// Connects through a pipe of `size` bytes and sends a request head.
async fn open(server: &Arc<HookServer>, hook: &WebHook, size: usize, fields: &str) -> DuplexStream {
    let (mut client, stream) = duplex(size);
    let permit = server.connections.acquire().await;
    spawn_connection(server, stream, permit, ConnectionKind::Direct);
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n{fields}\r\n", hook.url());
    client.write_all(head.as_bytes()).await.expect("a write");
    client
}

async fn read_to_end(client: &mut DuplexStream) -> String {
    let mut response = String::new();
    let read = client.read_to_string(&mut response);
    let read = timeout(LONG, read).await.expect("no timeout");
    read.expect("a clean end");
    response
}

#[tokio::test(start_paused = true)]
async fn missing_body_is_an_error_for_the_handler() {
    let (server, hook) = start(echo());
    let fields = "Content-Length: 10\r\nConnection: close\r\n";
    let mut client = open(&server, &hook, 1024, fields).await;
    let start = Instant::now();
    client.write_all(b"123").await.expect("a write");
    let response = read_to_end(&mut client).await;
    assert!(
        response.contains("no data received from the client for 120s"),
        "{response}"
    );
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn slow_body_is_complete() {
    let (server, hook) = start(echo());
    let fields = "Content-Length: 10\r\nConnection: close\r\n";
    let mut client = open(&server, &hook, 1024, fields).await;
    for digit in b"0123456789" {
        sleep(Duration::from_secs(100)).await;
        client.write_all(&[*digit]).await.expect("a write");
    }
    let response = read_to_end(&mut client).await;
    assert!(response.ends_with("0123456789"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn slow_reader_gets_everything() {
    let (server, hook) = start(from_fn(|_| async {
        Response::new(Body::from(vec![b'x'; 16 * 1024]))
    }));
    let mut client = open(&server, &hook, 1024, "Connection: close\r\n").await;
    let (mut buffer, mut len) = ([0; 1024], 0);
    loop {
        sleep(Duration::from_secs(100)).await;
        match client.read(&mut buffer).await.expect("no error") {
            0 => break,
            count => len += count,
        }
    }
    assert!(
        len > 16 * 1024,
        "only {len} bytes received, including the head"
    );
}

#[tokio::test(start_paused = true)]
async fn stalled_reader_is_disconnected() {
    let (server, hook) = start(from_fn(|_| async {
        Response::new(Body::from(vec![b'x'; 16 * 1024]))
    }));
    let start = Instant::now();
    let _client = open(&server, &hook, 1024, "").await;
    let closed = server.connections.all_closed();
    timeout(LONG, closed).await.expect("no timeout");
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed() {
    let (server, hook) = start(echo());
    let start = Instant::now();
    let mut client = open(&server, &hook, 1024, "Content-Length: 0\r\n").await;
    sleep(Duration::from_secs(20)).await;
    let next = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", hook.url());
    client.write_all(next.as_bytes()).await.expect("a write");
    let responses = read_to_end(&mut client).await;
    assert_eq!(responses.matches("HTTP/1.1 200").count(), 2, "{responses}");
    assert_eq!(start.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn stop_does_not_wait_for_idle_connections() {
    let (server, hook) = start(echo());
    let mut client = open(&server, &hook, 1024, "Content-Length: 0\r\n").await;
    let mut response = [0; 8];
    client.read_exact(&mut response).await.expect("a response");
    let start = Instant::now();
    assert_eq!(server.stop(Duration::from_secs(60)).await, 0);
    assert_eq!(start.elapsed().as_secs(), 0);
}
