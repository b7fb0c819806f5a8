//! Misbehaving servers and networks, and conflicts between clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use runtime_core::webhook::WebHookServer as _;
use runtime_mocks::MockMonitor;
use runtime_webhook::{Websocktunnel, WebsocktunnelBuilder, token_fn};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::support::{get, status, wait_until, within_a_minute};

use super::{ID, builder, echo, hook, lasting, server};

#[tokio::test]
async fn id_conflict_is_logged_and_slowed_down() {
    let server = server().await;
    let (monitor, seen) = MockMonitor::new();
    let first = builder(&server).monitor(monitor);
    let first = first.max_reconnect_delay(Duration::from_millis(10));
    let first = first.start().expect("started");
    let hook_of_first = hook(&first).await;
    let second = builder(&server).max_reconnect_delay(Duration::from_millis(10));
    let second = second.start().expect("started");
    let hook_of_second = hook(&second).await;
    let conflict = format!("check whether another client uses the id `{ID}`");
    wait_until(|| seen.has_line(&conflict)).await;
    // Without the second client, the first one works again.
    drop((hook_of_second, second));
    let works_again = async {
        first.wait_connected(true).await;
        while status(&get(&hook_of_first.url(), "").await) != 200 {
            // The server still had the last session of the second client.
            tokio::time::sleep(Duration::from_millis(5)).await;
            first.wait_connected(true).await;
        }
    };
    within_a_minute(works_again).await;
}

/// Forwards connections to a port. Open connections lose all data once they are frozen.
async fn relay(port: u16, frozen: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let relay_port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            frozen.store(false, Ordering::SeqCst);
            let to = TcpStream::connect(("127.0.0.1", port)).await;
            let ((mut a, mut b), (mut c, mut d)) =
                (from.into_split(), to.expect("a connection").into_split());
            let frozen = Arc::clone(&frozen);
            // Never closed, as after a power failure.
            tokio::spawn(async move {
                let there = pass(&mut a, &mut d, &frozen);
                let back = pass(&mut c, &mut b, &frozen);
                tokio::join!(there, back);
            });
        }
    });
    relay_port
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    frozen: &AtomicBool,
) {
    let mut buffer = [0; 4096];
    let mut is_frozen = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        is_frozen |= frozen.load(Ordering::SeqCst);
        if !is_frozen && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn half_open_tunnel_is_reopened() {
    let server = server().await;
    let frozen = Arc::new(AtomicBool::new(false));
    let port = relay(server.port(), Arc::clone(&frozen)).await;
    let token = server.token(ID, Duration::from_secs(3600));
    let tunnel = client(port, token).ping_interval(Duration::from_millis(200));
    let (monitor, seen) = MockMonitor::new();
    let tunnel = tunnel.monitor(monitor).start().expect("started");
    let hook = hook(&tunnel).await;
    frozen.store(true, Ordering::SeqCst);
    tunnel.wait_connected(false).await;
    assert!(seen.has_line("no data received from the peer"));
    tunnel.wait_connected(true).await;
    assert_eq!(status(&get(&hook.url(), "").await), 200);
}

fn client(port: u16, token: SecretString) -> WebsocktunnelBuilder {
    let tokens = token_fn(move || {
        let token = token.clone();
        async move { Ok(lasting(token)) }
    });
    Websocktunnel::builder(format!("http://127.0.0.1:{port}"), ID, tokens)
        .max_reconnect_delay(Duration::from_millis(10))
}

/// Accepts a client, as the server does.
async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.expect("a connection");
    #[expect(
        clippy::result_large_err,
        reason = "the type of the error is the library's"
    )]
    let add_url = |_: &Request, mut response: Response| {
        let url = "http://tunnel.example.com/id".parse().expect("a value");
        response
            .headers_mut()
            .insert("x-websocktunnel-client-url", url);
        Ok(response)
    };
    let accepted = tokio_tungstenite::accept_hdr_async(stream, add_url).await;
    accepted.expect("a WebSocket")
}

#[tokio::test]
async fn invalid_frames_close_and_reopen_the_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (monitor, seen) = MockMonitor::new();
    let tunnel = client(port, SecretString::from("t")).monitor(monitor);
    let tunnel = tunnel.start().expect("started");
    let (hook, mut server) = tokio::join!(tunnel.attach(echo()), accept(&listener));
    let hook = hook.expect("attached");
    for message in [
        Message::Text("hello".into()),
        Message::Binary(b"\x09\0\0\0\0".as_slice().into()),
        Message::Binary(b"\x02\0\0\0\0\xff".as_slice().into()),
    ] {
        server.send(message).await.expect("a write");
        let close = loop {
            let message = server.next().await.expect("a close frame");
            if let Message::Close(Some(frame)) = message.expect("no error") {
                break frame;
            }
        };
        assert_eq!(u16::from(close.code), 1008, "{close:?}");
        server = accept(&listener).await;
    }
    assert!(hook.url().starts_with("http://tunnel.example.com/id/"));
    assert!(seen.has_line("tunnel closed: the peer sent"));
}

#[tokio::test]
async fn foreign_server_is_reported() {
    for (answer, part) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "status 200"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "check the URL",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "invalid response from the tunnel server",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "invalid WebSocket handshake",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let tunnel = client(port, SecretString::from("hidden"));
        let tunnel = tunnel.attach_timeout(Duration::from_secs(5));
        let (monitor, seen) = MockMonitor::new();
        let tunnel = tunnel.monitor(monitor).start().expect("started");
        let attach = tunnel.attach(echo());
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            stream.write_all(answer.as_bytes()).await.expect("a write");
            drop((stream, listener));
            wait_until(|| seen.has_line(part)).await;
        };
        tokio::select! {
            result = attach => panic!("{result:?}"),
            () = serve => {}
        }
        assert!(!seen.has_line("hidden"));
        assert!(
            part == "status 200"
                || part == "check the URL"
                || seen.has_line(&format!("127.0.0.1:{port}"))
        );
    }
}
