//! Connecting, reconnecting, tokens and stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use runtime_core::webhook::{AttachError, Body, Response, WebHookServer as _, from_fn};
use runtime_mocks::MockMonitor;
use runtime_mocks::websocktunnel::WebsocktunnelServer;
use runtime_webhook::{TunnelToken, Websocktunnel, token_fn};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{body, get, read_until, status};

use super::{ID, builder, echo, hook, lasting, server};

#[tokio::test]
async fn restarted_server_reaches_all_hooks() {
    let mut server = server().await;
    let port = server.port();
    let tunnel = builder(&server).max_reconnect_delay(Duration::from_millis(50));
    let tunnel = tunnel.start().expect("started");
    let hooks = [hook(&tunnel).await, hook(&tunnel).await];
    for _ in 0..20 {
        server.kill().await;
        tunnel.wait_connected(false).await;
        server = WebsocktunnelServer::builder()
            .port(port)
            .start()
            .await
            .expect("a free port");
        tunnel.wait_connected(true).await;
        for (hook, path) in hooks.iter().zip(["first", "second"]) {
            let answer = get(&format!("{}{path}", hook.url()), "").await;
            assert!(
                body(&answer).contains(&format!("GET /{path}\n")),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn changed_url_is_reported_and_counted() {
    let first = server().await;
    let (monitor, seen) = MockMonitor::new();
    // A relay to another port, like a DNS name that changes.
    let relay = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = relay.local_addr().expect("an address");
    let target = Arc::new(parking_lot::Mutex::new(first.port()));
    tokio::spawn(relay_to(relay, Arc::clone(&target)));
    let token = first.token(ID, Duration::from_secs(3600));
    let tokens = token_fn(move || {
        let token = token.clone();
        async move { Ok(lasting(token)) }
    });
    let tunnel = Websocktunnel::builder(format!("http://{address}"), ID, tokens);
    let tunnel = tunnel.monitor(monitor).start().expect("started");
    let mut hook = hook(&tunnel).await;
    let before = hook.url();

    let second = server().await;
    *target.lock() = second.port();
    first.kill().await;
    assert!(hook.url_changed().await);
    assert_ne!(hook.url(), before);
    assert!(hook.url().starts_with(&second.client_url(ID)));
    tunnel.wait_connected(true).await;
    assert_eq!(status(&get(&hook.url(), "").await), 200);
    assert_eq!(seen.counter("webhook.url-changes"), 1);
}

async fn relay_to(listener: TcpListener, port: Arc<parking_lot::Mutex<u16>>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let port = *port.lock();
        tokio::spawn(async move {
            if let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

#[tokio::test]
async fn rejected_token_is_replaced() {
    let server = server().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let good = server.token(ID, Duration::from_secs(3600));
    let tokens = token_fn({
        let calls = Arc::clone(&calls);
        move || {
            let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            let token = if first {
                SecretString::from("a.b.c")
            } else {
                good.clone()
            };
            async move { Ok(lasting(token)) }
        }
    });
    let tunnel = Websocktunnel::builder(server.url(), ID, tokens)
        .start()
        .expect("started");
    let hook = hook(&tunnel).await;
    assert_eq!(status(&get(&hook.url(), "").await), 200);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn token_is_reused_until_shortly_before_expiry() {
    for (lifetime, expected) in [(3600, 1), (60, 3)] {
        let server = server().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let token = server.token(ID, Duration::from_secs(3600));
        let tokens = token_fn({
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::Relaxed);
                let expires = Timestamp::now() + Duration::from_secs(lifetime);
                let token = TunnelToken {
                    token: token.clone(),
                    expires,
                };
                async move { Ok(token) }
            }
        });
        let tunnel = Websocktunnel::builder(server.url(), ID, tokens);
        let tunnel = tunnel.start().expect("started");
        let _hook = hook(&tunnel).await;
        for _ in 0..2 {
            assert!(server.disconnect(ID));
            tunnel.wait_connected(false).await;
            tunnel.wait_connected(true).await;
        }
        assert_eq!(calls.load(Ordering::Relaxed), expected, "{lifetime} s");
    }
}

#[tokio::test]
async fn attach_without_a_server_has_a_reason() {
    let server = server().await;
    let tunnel = builder(&server).attach_timeout(Duration::from_secs(2));
    server.kill().await;
    let tunnel = tunnel.start().expect("started");
    let error = tunnel.attach(echo()).await.expect_err("no server");
    let AttachError::Unreachable(cause) = error else {
        panic!("{error:?}");
    };
    assert!(
        cause
            .to_string()
            .contains("cannot connect to the tunnel server"),
        "{cause}"
    );
}

#[tokio::test]
async fn rejection_has_the_status_but_no_token() {
    let server = server().await;
    let tokens = token_fn(|| async { Ok(lasting(SecretString::from("hidden.hidden.hidden"))) });
    let tunnel = Websocktunnel::builder(server.url(), ID, tokens);
    let tunnel = tunnel.attach_timeout(Duration::from_secs(2));
    let tunnel = tunnel.start().expect("started");
    let error = tunnel.attach(echo()).await.expect_err("a rejected token");
    let text = format!("{error:?} {}", runtime_core::error_chain(&error));
    assert!(text.contains("401") && !text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn invalid_settings_fail_the_start() {
    let tokens = || token_fn(|| async { Err("never asked".into()) });
    let error = Websocktunnel::builder("tunnel.example.com", ID, tokens()).start();
    assert!(error.expect_err("no scheme").to_string().contains("URL"));
    let error = Websocktunnel::builder("http://localhost", "a/b", tokens()).start();
    assert!(error.expect_err("a slash").to_string().contains("`a/b`"));
}

#[tokio::test]
async fn stop_lets_requests_finish() {
    let server = server().await;
    let tunnel = builder(&server).start().expect("started");
    let entered = Arc::new(tokio::sync::Notify::new());
    let finish = Arc::new(tokio::sync::Notify::new());
    let slow = from_fn({
        let (entered, finish) = (Arc::clone(&entered), Arc::clone(&finish));
        move |_| {
            let (entered, finish) = (Arc::clone(&entered), Arc::clone(&finish));
            async move {
                entered.notify_one();
                finish.notified().await;
                Response::new(Body::from("done"))
            }
        }
    });
    let hook = tunnel.attach(slow).await.expect("attached");
    let url = hook.url();
    let answer = tokio::spawn(async move { get(&url, "").await });
    entered.notified().await;
    let stop = tunnel.stop(Duration::from_secs(60));
    let finish = async { finish.notify_one() };
    let (cut, ()) = tokio::join!(stop, finish);
    assert_eq!(cut, 0);
    let answer = answer.await.expect("the viewer");
    assert!(answer.ends_with("done"), "{answer}");
    assert!(matches!(
        tunnel.attach(echo()).await,
        Err(AttachError::Stopped)
    ));
}

#[tokio::test]
async fn silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let tokens = token_fn(|| async { Ok(lasting(SecretString::from("t"))) });
    let tunnel = Websocktunnel::builder(format!("ws://{address}"), ID, tokens);
    let tunnel = tunnel
        .attach_timeout(Duration::from_secs(1))
        .start()
        .expect("started");
    let accepted = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let head = read_until(&mut stream, "\r\n\r\n").await;
        (stream, head)
    };
    let (result, (_stream, head)) = tokio::join!(tunnel.attach(echo()), accepted);
    assert!(matches!(result, Err(AttachError::Unreachable(_))));
    assert!(head.contains("authorization: Bearer t\r\n"), "{head}");
    assert!(
        head.contains(&format!("x-websocktunnel-id: {ID}\r\n")),
        "{head}"
    );
}
