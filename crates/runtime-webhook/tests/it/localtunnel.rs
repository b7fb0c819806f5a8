//! Hooks behind a localtunnel server, which is scripted here.

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

/// Accepts one API request, responds, and returns its request line.
async fn respond(api: &TcpListener, status: &str, body: &str) -> String {
    let (mut stream, _) = api.accept().await.expect("a request");
    let head = read_until(&mut stream, "\r\n\r\n").await;
    let len = body.len();
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}");
    stream
        .write_all(response.as_bytes())
        .await
        .expect("a write");
    head.lines().next().unwrap_or_default().to_owned()
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

fn builder(api: u16) -> LocaltunnelBuilder {
    Localtunnel::builder(format!("http://127.0.0.1:{api}"))
        .max_reconnect_delay(Duration::from_millis(20))
}

/// Sends a request through a connection of the tunnel, as the server does.
async fn send(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: abcd.example.com\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a write");
    read_until(stream, "saw ").await
}

#[tokio::test]
async fn idle_connections_serve_several_requests() {
    let (api, api_port) = listen().await;
    let (tunnels, port) = listen().await;
    let tunnel = builder(api_port)
        .subdomain("abcd")
        .start()
        .expect("started");
    let body = format!(
        r#"{{"id": "abcd", "port": {port}, "max_conn_count": 2, "url": "http://abcd.example.com"}}"#
    );
    let (hook, request) = tokio::join!(tunnel.attach(echo()), respond(&api, "200 OK", &body));
    let hook = hook.expect("attached");
    assert_eq!(request, "GET /abcd HTTP/1.1");
    let path = hook
        .url()
        .strip_prefix("http://abcd.example.com")
        .expect("the base URL")
        .to_owned();
    let (mut first, _) = tunnels.accept().await.expect("a connection");
    let (mut second, _) = tunnels.accept().await.expect("a connection");
    for stream in [&mut first, &mut second] {
        for rest in ["a%2Fb?c", "d"] {
            let answer = send(stream, &format!("{path}{rest}")).await;
            assert!(
                answer.ends_with("saw ") || answer.contains(rest),
                "{answer}"
            );
        }
    }
    // A closed connection is replaced.
    drop(first);
    let (mut third, _) = tunnels.accept().await.expect("a connection");
    send(&mut third, &path).await;
}

#[tokio::test]
async fn removed_tunnel_is_registered_again() {
    let (api, api_port) = listen().await;
    let (tunnels, port) = listen().await;
    let (monitor, seen) = MockMonitor::new();
    let tunnel = builder(api_port).monitor(monitor).start().expect("started");
    assert!(seen.has_line("localtunnel is for tests only"));
    let body = format!(r#"{{"port": {port}, "url": "http://one.example.com"}}"#);
    let (hook, request) = tokio::join!(tunnel.attach(echo()), respond(&api, "200 OK", &body));
    let mut hook = hook.expect("attached");
    assert_eq!(request, "GET /?new HTTP/1.1");
    let connection = tunnels.accept().await.expect("a connection");
    drop((tunnels, connection));
    let (second, port) = listen().await;
    let body = format!(r#"{{"port": {port}, "url": "http://two.example.com"}}"#);
    // The server is unavailable at first.
    respond(&api, "503 Service Unavailable", "").await;
    respond(&api, "200 OK", &body).await;
    assert!(hook.url_changed().await);
    assert!(hook.url().starts_with("http://two.example.com/"));
    let (mut stream, _) = second.accept().await.expect("a connection");
    let url = hook.url();
    send(
        &mut stream,
        url.strip_prefix("http://two.example.com")
            .expect("the base URL"),
    )
    .await;
    assert_eq!(seen.counter("webhook.url-changes"), 1);
}

#[tokio::test]
async fn invalid_subdomain_is_rejected() {
    for name in ["abc", "Abcd", "a_bc", &"a".repeat(64)] {
        let error = builder(1)
            .subdomain(name)
            .start()
            .expect_err("an invalid subdomain");
        assert!(
            matches!(error, LocaltunnelError::Subdomain { .. }),
            "{name}"
        );
    }
}
