//! HTTP/1.1 with clients that are slow, over a pipe in memory.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use runtime_core::Monitor;
use runtime_core::webhook::{Body, Handler, Response, WebHook, from_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::{Origin, Server};
use crate::{HttpLimits, OnDetach};

/// Longer than any limit.
const LONG: Duration = Duration::from_secs(3600);

/// Answers with what it got, or with what is wrong with it.
fn echo() -> Arc<dyn Handler> {
    from_fn(|request| async move {
        let answer = match request.into_body().collect().await {
            Ok(body) => Body::from(body.to_bytes()),
            Err(error) => Body::from(error.to_string()),
        };
        Response::new(answer)
    })
}

fn start(handler: Arc<dyn Handler>) -> (Arc<Server>, WebHook) {
    let server = Arc::new(Server::new(HttpLimits::default(), &Monitor::null()));
    server.registry.rebase("/");
    let hook = server.attach(handler, OnDetach::Finish);
    let hook = hook.expect("it attaches").into_fixed_web_hook();
    (server, hook)
}

/// Connects by a pipe that holds so many bytes, and sends the head of a request.
async fn open(server: &Arc<Server>, hook: &WebHook, size: usize, fields: &str) -> DuplexStream {
    let (mut client, there) = duplex(size);
    server.spawn(there, server.connections.place().await, Origin::Direct);
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n{fields}\r\n", hook.url());
    client.write_all(head.as_bytes()).await.expect("it reads");
    client
}

async fn read_answer(client: &mut DuplexStream) -> String {
    let mut answer = String::new();
    let read = client.read_to_string(&mut answer);
    let read = timeout(LONG, read).await.expect("it waits for ever");
    read.expect("an end");
    answer
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_an_error_for_the_handler() {
    let (server, hook) = start(echo());
    let fields = "Content-Length: 10\r\nConnection: close\r\n";
    let mut client = open(&server, &hook, 1024, fields).await;
    let start = Instant::now();
    client.write_all(b"123").await.expect("it reads");
    let answer = read_answer(&mut client).await;
    assert!(answer.contains("sent no byte for 120s"), "{answer}");
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_is_complete() {
    let (server, hook) = start(echo());
    let fields = "Content-Length: 10\r\nConnection: close\r\n";
    let mut client = open(&server, &hook, 1024, fields).await;
    for digit in b"0123456789" {
        sleep(Duration::from_secs(100)).await;
        client.write_all(&[*digit]).await.expect("it reads");
    }
    let answer = read_answer(&mut client).await;
    assert!(answer.ends_with("0123456789"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_goes_on_gets_everything() {
    let (server, hook) = start(from_fn(|_| async {
        Response::new(Body::from(vec![b'x'; 16 * 1024]))
    }));
    let mut client = open(&server, &hook, 1024, "Connection: close\r\n").await;
    let (mut buffer, mut len) = ([0; 1024], 0);
    loop {
        sleep(Duration::from_secs(100)).await;
        match client.read(&mut buffer).await.expect("it goes on") {
            0 => break,
            count => len += count,
        }
    }
    assert!(len > 16 * 1024, "only {len} bytes came, the head included");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_cut() {
    let (server, hook) = start(from_fn(|_| async {
        Response::new(Body::from(vec![b'x'; 16 * 1024]))
    }));
    let start = Instant::now();
    let _client = open(&server, &hook, 1024, "").await;
    let closed = server.connections.all_closed();
    timeout(LONG, closed).await.expect("it waits for ever");
    assert_eq!(start.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_when_no_request_follows_the_last() {
    let (server, hook) = start(echo());
    let start = Instant::now();
    let mut client = open(&server, &hook, 1024, "Content-Length: 0\r\n").await;
    sleep(Duration::from_secs(20)).await;
    let next = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", hook.url());
    client.write_all(next.as_bytes()).await.expect("it reads");
    let answers = read_answer(&mut client).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert_eq!(start.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_a_connection_without_a_request() {
    let (server, hook) = start(echo());
    let mut client = open(&server, &hook, 1024, "Content-Length: 0\r\n").await;
    let mut answer = [0; 8];
    client.read_exact(&mut answer).await.expect("an answer");
    let start = Instant::now();
    assert_eq!(server.stop(Duration::from_secs(60)).await, 0);
    assert_eq!(start.elapsed().as_secs(), 0);
}
