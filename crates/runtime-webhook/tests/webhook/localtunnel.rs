//! Hooks behind a localtunnel server, which here is a script of what the real one does.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::webhook::{Body, Handler, Response, WebHookServer as _, from_fn};
use runtime_mocks::MockMonitor;
use runtime_webhook::{Localtunnel, LocaltunnelBuilder, LocaltunnelError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::support::read_until;

fn echo() -> Arc<dyn Handler> {
    from_fn(|request| async move { Response::new(Body::from(format!("saw {}", request.uri()))) })
}

/// Takes one request of a client, and answers.
async fn answer(api: &TcpListener, status: &str, body: &str) -> String {
    let (mut stream, _) = api.accept().await.expect("it asks");
    let head = read_until(&mut stream, "\r\n\r\n").await;
    let len = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.expect("it reads");
    head.lines().next().unwrap_or_default().to_owned()
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

fn builder(api: u16) -> LocaltunnelBuilder {
    Localtunnel::builder(format!("http://127.0.0.1:{api}")).max_reconnect_delay(Duration::from_millis(20))
}

/// Sends a request through a connection of the tunnel, as the server does.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: abcd.example.com\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    read_until(stream, "saw ").await
}

#[tokio::test]
async fn connections_wait_for_requests_and_serve_several() {
    let (api, api_port) = listen().await;
    let (tunnels, port) = listen().await;
    let tunnel = builder(api_port)
        .subdomain("abcd")
        .start()
        .expect("it is set up");
    let body = format!(
        r#"{{"id": "abcd", "port": {port}, "max_conn_count": 2, "url": "http://abcd.example.com"}}"#
    );
    let (hook, asked) = tokio::join!(tunnel.attach(echo()), answer(&api, "200 OK", &body));
    let hook = hook.expect("it attaches");
    assert_eq!(asked, "GET /abcd HTTP/1.1");
    let path = hook
        .url()
        .strip_prefix("http://abcd.example.com")
        .expect("the base")
        .to_owned();
    let (mut first, _) = tunnels.accept().await.expect("it connects");
    let (mut second, _) = tunnels.accept().await.expect("it connects");
    for stream in [&mut first, &mut second] {
        for rest in ["a%2Fb?c", "d"] {
            let answer = ask(stream, &format!("{path}{rest}")).await;
            assert!(
                answer.ends_with("saw ") || answer.contains(rest),
                "{answer}"
            );
        }
    }
    // Another one comes in place of one that is closed.
    drop(first);
    let (mut third, _) = tunnels.accept().await.expect("it connects");
    ask(&mut third, &path).await;
}

#[tokio::test]
async fn a_tunnel_that_the_server_forgot_is_opened_anew() {
    let (api, api_port) = listen().await;
    let (tunnels, port) = listen().await;
    let (monitor, seen) = MockMonitor::new();
    let tunnel = builder(api_port)
        .monitor(monitor)
        .start()
        .expect("it is set up");
    assert!(seen.has_line("localtunnel is for tests"));
    let body = format!(r#"{{"port": {port}, "url": "http://one.example.com"}}"#);
    let (hook, asked) = tokio::join!(tunnel.attach(echo()), answer(&api, "200 OK", &body));
    let mut hook = hook.expect("it attaches");
    assert_eq!(asked, "GET /?new HTTP/1.1");
    let connection = tunnels.accept().await.expect("it connects");
    drop((tunnels, connection));
    let (second, port) = listen().await;
    let body = format!(r#"{{"port": {port}, "url": "http://two.example.com"}}"#);
    // The server may be away for a while.
    answer(&api, "503 Service Unavailable", "").await;
    answer(&api, "200 OK", &body).await;
    assert!(hook.url_changed().await);
    assert!(hook.url().starts_with("http://two.example.com/"));
    let (mut stream, _) = second.accept().await.expect("it connects");
    let url = hook.url();
    ask(
        &mut stream,
        url.strip_prefix("http://two.example.com")
            .expect("the base"),
    )
    .await;
    assert_eq!(seen.counter("webhook.url-changes"), 1);
}

#[tokio::test]
async fn names_that_the_server_refuses_are_not_asked_for() {
    for name in ["abc", "Abcd", "a_bc", &"a".repeat(64)] {
        let error = builder(1).subdomain(name).start().expect_err("not allowed");
        assert!(
            matches!(error, LocaltunnelError::Subdomain { .. }),
            "{name}"
        );
    }
}
