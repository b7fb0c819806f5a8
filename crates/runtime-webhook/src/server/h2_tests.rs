//! HTTP/2 with clients that do not do their part. They are connected by a pipe in memory: with a paused
//! clock, sockets may be late for hours.

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

use super::{Origin, Server};
use crate::{HttpLimits, OnDetach};

/// Answers with so many bytes in one piece.
fn bytes(len: usize) -> Arc<dyn Handler> {
    from_fn(move |_| async move { Response::new(Body::from(vec![b'x'; len])) })
}

/// Answers with a body that never comes.
fn silent() -> Arc<dyn Handler> {
    from_fn(|_| async {
        let never = futures_util::stream::pending::<std::io::Result<http_body::Frame<Bytes>>>();
        Response::new(Body::new(StreamBody::new(never)))
    })
}

fn server() -> Arc<Server> {
    let server = Server::new(HttpLimits::default(), &Monitor::null());
    server.registry.rebase("http://server/");
    Arc::new(server)
}

fn attach(server: &Arc<Server>, handler: Arc<dyn Handler>) -> WebHook {
    let hook = server.attach(handler, OnDetach::Finish);
    hook.expect("it attaches").into_fixed_web_hook()
}

struct Client {
    requests: http2::SendRequest<Empty<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Client {
    /// A client that takes so many bytes of an answer before it reads them.
    async fn connect(server: &Arc<Server>, window: u32) -> Self {
        let (here, there) = duplex(1 << 20);
        server.spawn(there, server.connections.place().await, Origin::Http2);
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
        let answer = self.requests.send_request(request.expect("a request"));
        answer.await.expect("an answer").into_body()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_cut_and_the_others_are_not() {
    let server = server();
    let (unread, other) = (attach(&server, bytes(1 << 20)), attach(&server, silent()));
    let mut client = Client::connect(&server, 1 << 16).await;
    let mut kept = client.get(&other).await;
    let mut answer = client.get(&unread).await;
    sleep(Duration::from_secs(121)).await;
    let error = loop {
        if let Err(error) = answer.frame().await.expect("it is not complete") {
            break runtime_core::error_chain(&error);
        }
    };
    assert!(error.contains("stream error received"), "{error}");
    let kept = std::pin::pin!(kept.frame());
    assert!(futures_util::poll!(kept).is_pending(), "it was cut, too");
    let _next = client.get(&other).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_goes_on_gets_everything() {
    let server = server();
    let hook = attach(&server, bytes(1 << 20));
    let mut client = Client::connect(&server, 1 << 16).await;
    let mut answer = client.get(&hook).await;
    let (start, mut len) = (Instant::now(), 0);
    while let Some(frame) = answer.frame().await {
        let data = frame.expect("it goes on").into_data();
        len += data.map_or(0, |data| data.len());
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(len, 1 << 20);
    assert!(start.elapsed() > Duration::from_secs(1000), "it was fast");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_is_closed() {
    let server = server();
    let hook = attach(&server, bytes(10));
    let mut client = Client::connect(&server, 1 << 16).await;
    sleep(Duration::from_secs(20)).await;
    let answer = client.get(&hook).await.collect().await;
    assert_eq!(answer.expect("a body").to_bytes().len(), 10);
    let start = Instant::now();
    let end = client.connection.await.expect("no panic");
    end.expect("the server said goodbye");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_request_stays() {
    let server = server();
    let hook = attach(&server, silent());
    let mut client = Client::connect(&server, 1 << 16).await;
    let _answer = client.get(&hook).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(!client.connection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_takes_the_last_bytes_is_cut() {
    let server = server();
    let hook = attach(&server, bytes(100));
    // There is room for one byte: the other 99 wait in the server, in the hands of nobody.
    let mut client = Client::connect(&server, 1).await;
    let start = Instant::now();
    let _unread = client.get(&hook).await;
    let _ = client.connection.await.expect("no panic");
    assert_eq!(start.elapsed().as_secs(), 30 + 120);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_without_a_word_is_cut() {
    let server = server();
    let (mut client, there) = duplex(1 << 20);
    let start = Instant::now();
    server.spawn(there, server.connections.place().await, Origin::Http2);
    // The preface and empty settings; then it answers nothing, not even the settings of the server.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    client.write_all(preface).await.expect("it reads");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("an end");
    assert_eq!(start.elapsed().as_secs(), 60);
}
