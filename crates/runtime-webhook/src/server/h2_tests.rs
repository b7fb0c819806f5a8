//! HTTP/2 with misbehaving clients, over an in-memory pipe.
//!
//! With a paused clock, time advances while a real socket still has data in flight.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime_core::Monitor;
use runtime_core::webhook::{Body, Handler, Response, WebHook, from_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::hook_server::HookServer;
use super::serve::{ConnectionKind, spawn_connection};
use crate::http_limits::HttpLimits;
use crate::registry::OnDetach;

/// Responds with `len` bytes in one frame.
fn bytes(len: usize) -> Arc<dyn Handler> {
    from_fn(move |_| async move { Response::new(Body::from(vec![b'x'; len])) })
}

/// Responds with a body that never yields a frame.
fn silent() -> Arc<dyn Handler> {
    from_fn(|_| async {
        let never = futures_util::stream::pending::<std::io::Result<http_body::Frame<Bytes>>>();
        Response::new(Body::new(StreamBody::new(never)))
    })
}

fn server() -> Arc<HookServer> {
    let server = HookServer::new(HttpLimits::default(), &Monitor::null(), None);
    server.registry.set_base_url("http://server/");
    Arc::new(server)
}

fn attach(server: &Arc<HookServer>, handler: Arc<dyn Handler>) -> WebHook {
    let hook = server.attach(handler, OnDetach::Finish);
    hook.expect("attached").into_fixed_web_hook()
}

struct Client {
    requests: http2::SendRequest<Empty<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Client {
    /// Connects a client with a flow control window of `window` bytes per response.
    async fn connect(server: &Arc<HookServer>, window: u32) -> Self {
        let (here, there) = duplex(1 << 20);
        let permit = server.connections.acquire().await;
        spawn_connection(server, there, permit, ConnectionKind::Http2);
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(window);
        let (requests, connection) = client
            .handshake(TokioIo::new(here))
            .await
            .expect("a handshake");
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    async fn get(&mut self, hook: &WebHook) -> Incoming {
        let request = http::Request::get(hook.url()).body(Empty::new());
        let response = self.requests.send_request(request.expect("a request"));
        response.await.expect("a response").into_body()
    }
}

#[tokio::test(start_paused = true)]
async fn unread_response_is_reset_alone() {
    let server = server();
    let (unread, other) = (attach(&server, bytes(1 << 20)), attach(&server, silent()));
    let mut client = Client::connect(&server, 1 << 16).await;
    let mut kept = client.get(&other).await;
    let mut response = client.get(&unread).await;
    sleep(Duration::from_secs(121)).await;
    let error = loop {
        if let Err(error) = response.frame().await.expect("more frames") {
            break runtime_core::error_chain(&error);
        }
    };
    assert!(error.contains("stream error received"), "{error}");
    let kept = std::pin::pin!(kept.frame());
    assert!(
        futures_util::poll!(kept).is_pending(),
        "the other response was reset too"
    );
    let _next = client.get(&other).await;
}

#[tokio::test(start_paused = true)]
async fn slow_reader_gets_everything() {
    let server = server();
    let hook = attach(&server, bytes(1 << 20));
    let mut client = Client::connect(&server, 1 << 16).await;
    let mut response = client.get(&hook).await;
    let (start, mut len) = (Instant::now(), 0);
    while let Some(frame) = response.frame().await {
        let data = frame.expect("no error").into_data();
        len += data.map_or(0, |data| data.len());
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(len, 1 << 20);
    assert!(
        start.elapsed() > Duration::from_secs(1000),
        "the reader was fast"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed() {
    let server = server();
    let hook = attach(&server, bytes(10));
    let mut client = Client::connect(&server, 1 << 16).await;
    sleep(Duration::from_secs(20)).await;
    let response = client.get(&hook).await.collect().await;
    assert_eq!(response.expect("a body").to_bytes().len(), 10);
    let start = Instant::now();
    let end = client.connection.await.expect("no panic");
    end.expect("a graceful shutdown");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn connection_with_a_request_stays_open() {
    let server = server();
    let hook = attach(&server, silent());
    let mut client = Client::connect(&server, 1 << 16).await;
    let _response = client.get(&hook).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(!client.connection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn client_without_window_is_disconnected() {
    let server = server();
    let hook = attach(&server, bytes(100));
    // The window has room for one byte. hyper has taken the other 99 from the body already, so neither the
    // body nor the request notices that they are not sent.
    let mut client = Client::connect(&server, 1).await;
    let start = Instant::now();
    let _unread = client.get(&hook).await;
    let _ = client.connection.await.expect("no panic");
    assert_eq!(start.elapsed().as_secs(), 30 + 120);
}

#[tokio::test(start_paused = true)]
async fn vanished_client_is_disconnected() {
    let server = server();
    let (mut client, there) = duplex(1 << 20);
    let start = Instant::now();
    let permit = server.connections.acquire().await;
    spawn_connection(&server, there, permit, ConnectionKind::Http2);
    // The preface and empty settings, then nothing: even the server's settings are not acknowledged.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    client.write_all(preface).await.expect("a write");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("a clean end");
    assert_eq!(start.elapsed().as_secs(), 60);
}
