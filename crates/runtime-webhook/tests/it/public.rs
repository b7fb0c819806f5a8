//! A public server: TLS, HTTP/2, certificate reload and stateless DNS.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime_core::webhook::{Body, Handler, Response, WebHookServer as _, from_fn};
use runtime_mocks::MockMonitor;
use runtime_webhook::{HttpLimits, OnDetach, PublicError, PublicServer};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{body, get, status, wait_until};

fn echo() -> Arc<dyn Handler> {
    from_fn(|request| async move {
        Response::new(Body::from(format!(
            "{:?} {}",
            request.version(),
            request.uri()
        )))
    })
}

/// Writes a new certificate for `localhost` and returns it.
fn write_certificate(folder: &Path) -> CertificateDer<'static> {
    let new = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), new.signing_key.serialize_pem()).expect("a file");
    std::fs::write(folder.join("cert.pem"), new.cert.pem()).expect("a file");
    new.cert.der().clone()
}

fn builder(folder: &Path) -> runtime_webhook::PublicBuilder {
    PublicServer::builder("localhost")
        .address(Ipv4Addr::LOCALHOST.into())
        .tls(folder.join("cert.pem"), folder.join("key.pem"))
}

/// Connects a client that trusts one certificate.
async fn connect(
    port: u16,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn path(url: &str) -> &str {
    url.splitn(4, '/').nth(3).expect("a URL with a path")
}

#[tokio::test]
async fn hooks_are_served_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = write_certificate(folder.path());
    let server = builder(folder.path()).start().await.expect("started");
    let hook = server.attach(echo()).await.expect("attached");
    let port = server.local_addr().port();
    assert!(
        hook.url()
            .starts_with(&format!("https://localhost:{port}/"))
    );
    let mut stream = connect(port, &trusted, &[b"http/1.1"]).await.expect("TLS");
    let head = format!(
        "GET /{}x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        path(&hook.url())
    );
    stream.write_all(head.as_bytes()).await.expect("a write");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("a response");
    assert_eq!(body(&answer), "HTTP/1.1 /x");
}

#[tokio::test]
async fn http_2_is_negotiated() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = write_certificate(folder.path());
    let server = builder(folder.path()).start().await.expect("started");
    let hook = server.attach(echo()).await.expect("attached");
    let port = server.local_addr().port();
    let mut client = h2(port, &trusted).await;
    let answers = (0..10).map(|i| client.send_request(request(&hook.url(), &i.to_string())));
    for (i, answer) in futures_util::future::join_all(answers)
        .await
        .into_iter()
        .enumerate()
    {
        let answer = answer
            .expect("a response")
            .into_body()
            .collect()
            .await
            .expect("a body");
        assert_eq!(answer.to_bytes(), format!("HTTP/2.0 /{i}"));
    }
}

type H2 = hyper::client::conn::http2::SendRequest<Empty<bytes::Bytes>>;

async fn h2(port: u16, trusted: &CertificateDer<'static>) -> H2 {
    let stream = connect(port, trusted, &[b"h2", b"http/1.1"])
        .await
        .expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (client, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    client
}

fn request(url: &str, rest: &str) -> http::Request<Empty<bytes::Bytes>> {
    let request = http::Request::get(format!("{url}{rest}"));
    request.body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn abort_on_shared_connection_spares_other_hooks() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = write_certificate(folder.path());
    let server = builder(folder.path()).start().await.expect("started");
    let endless = from_fn(|_| async {
        let never = futures_util::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
        >();
        Response::new(Body::new(http_body_util::StreamBody::new(never)))
    });
    let aborted = server
        .attach_with(endless.clone(), OnDetach::Abort)
        .expect("attached");
    let kept = server
        .attach_with(endless, OnDetach::Abort)
        .expect("attached");
    let mut client = h2(server.local_addr().port(), &trusted).await;
    let first = client
        .send_request(request(&aborted.url(), ""))
        .await
        .expect("a response");
    let second = client
        .send_request(request(&kept.url(), ""))
        .await
        .expect("a response");
    drop(aborted);
    assert!(
        first.into_body().collect().await.is_err(),
        "the response was aborted"
    );
    let mut second = second.into_body();
    assert!(futures_util::poll!(std::pin::pin!(second.frame())).is_pending());
}

#[tokio::test]
async fn changed_certificate_is_reloaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = write_certificate(folder.path());
    let (monitor, seen) = MockMonitor::new();
    let server = builder(folder.path())
        .monitor(monitor)
        .reload_interval(Duration::from_millis(5));
    let server = server.start().await.expect("started");
    let port = server.local_addr().port();
    connect(port, &old, &[])
        .await
        .expect("the first certificate");
    let new = write_certificate(folder.path());
    wait_until(|| seen.counter("webhook.certificate-reloads") > 0).await;
    connect(port, &new, &[]).await.expect("the new certificate");
    connect(port, &old, &[])
        .await
        .expect_err("an unknown certificate");
}

#[tokio::test(start_paused = true)]
async fn certificate_expiry_is_reported_daily() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(1970, 1, 1);
    params.not_after = rcgen::date_time_ymd(1970, 4, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).expect("a file");
    std::fs::write(folder.path().join("cert.pem"), certificate.pem()).expect("a file");
    let (monitor, seen) = MockMonitor::new();
    let clock = Arc::new(PausedClock::new());
    let day = Duration::from_secs(24 * 3600);
    let server = builder(folder.path()).monitor(monitor).clock(clock);
    let _server = server
        .reload_interval(day / 24)
        .start()
        .await
        .expect("started");
    let reminders = || {
        let lines = seen.lines().into_iter();
        lines
            .filter(|line| line.message.contains("1970-04-01"))
            .count()
    };
    tokio::time::sleep(day * 75).await;
    let end = seen.gauge("webhook.certificate-expiry-timestamp");
    assert_eq!(end, Some(90.0 * 24.0 * 3600.0));
    assert_eq!(reminders(), 0, "15 days are left");
    tokio::time::sleep(day * 4).await;
    assert_eq!(reminders(), 3, "after 76, 77 and 78 days");
    assert!(seen.has_line("expires at"));
}

#[tokio::test]
async fn invalid_certificate_keeps_the_previous_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = write_certificate(folder.path());
    let (monitor, seen) = MockMonitor::new();
    let server = builder(folder.path())
        .monitor(monitor)
        .reload_interval(Duration::from_millis(5));
    let server = server.start().await.expect("started");
    std::fs::write(folder.path().join("cert.pem"), "half of it").expect("a file");
    wait_until(|| seen.counter("webhook.certificate-errors") > 0).await;
    assert!(seen.has_line("keeping the previous certificate"));
    connect(server.local_addr().port(), &old, &[])
        .await
        .expect("the old certificate");
}

#[tokio::test]
async fn invalid_certificate_fails_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = builder(folder.path())
        .start()
        .await
        .expect_err("missing files");
    assert!(
        runtime_core::error_chain(&missing).contains("cert.pem"),
        "{missing:?}"
    );
    write_certificate(folder.path());
    let other = rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate");
    let key = folder.path().join("key.pem");
    std::fs::write(key, other.signing_key.serialize_pem()).expect("a file");
    let error = builder(folder.path())
        .start()
        .await
        .expect_err("the key of another certificate");
    let text = runtime_core::error_chain(&error);
    assert!(text.contains("does not match the certificate"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn host_names_are_renewed_before_expiry() {
    let clock = Arc::new(PausedClock::new());
    let server = PublicServer::builder("example.com")
        .address(Ipv4Addr::LOCALHOST.into())
        .exposed_port(80)
        .clock(clock.clone())
        .stateless_dns(Ipv4Addr::LOCALHOST, b"secret", Duration::from_secs(3600));
    let server = server.start().await.expect("started");
    let mut hook = server.attach(echo()).await.expect("attached");
    let first = hook.url();
    let label = first
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('.'))
        .expect("a name");
    assert_eq!(label.0.len(), 48);
    assert!(label.1.starts_with("example.com/"), "{first}");
    let start = tokio::time::Instant::now();
    assert!(hook.url_changed().await);
    assert!(start.elapsed() <= Duration::from_secs(1801));
    assert_ne!(hook.url(), first);
    // A wall clock that is set back delays no renewal.
    clock.set_back.store(86_400, Ordering::Relaxed);
    let start = tokio::time::Instant::now();
    assert!(hook.url_changed().await);
    assert!(start.elapsed() <= Duration::from_secs(1801));
    assert_eq!(
        first.rsplit('/').nth(1),
        hook.url().rsplit('/').nth(1),
        "the same id"
    );
}

/// A clock that follows tokio's paused time.
#[derive(Debug)]
struct PausedClock {
    start: tokio::time::Instant,
    /// Seconds by which it was set back.
    set_back: AtomicU64,
}

impl PausedClock {
    fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            set_back: AtomicU64::new(0),
        }
    }
}

#[async_trait::async_trait]
impl runtime_core::clock::Clock for PausedClock {
    fn now(&self) -> jiff::Timestamp {
        let set_back = Duration::from_secs(self.set_back.load(Ordering::Relaxed));
        jiff::Timestamp::UNIX_EPOCH + self.start.elapsed() - set_back
    }

    async fn sleep_until(&self, deadline: jiff::Timestamp) {
        if let Some(rest) = runtime_core::clock::duration_until(self.now(), deadline) {
            tokio::time::sleep(rest).await;
        }
    }
}

#[tokio::test]
async fn server_listens_on_one_interface() {
    let server = PublicServer::builder("127.0.0.1").interface(loopback());
    let server = server.start().await.expect("started");
    assert!(server.local_addr().ip().is_loopback());
    let hook = server.attach(echo()).await.expect("attached");
    assert_eq!(status(&get(&hook.url(), "").await), 200);
    let error = PublicServer::builder("x")
        .interface("nonsense0")
        .start()
        .await;
    let error = error.expect_err("an unknown interface");
    assert!(
        matches!(&error, PublicError::NoInterface { known, .. } if known.contains(&loopback()))
    );
}

fn loopback() -> String {
    if cfg!(target_os = "linux") {
        "lo"
    } else {
        "lo0"
    }
    .to_owned()
}

#[tokio::test(start_paused = true)]
async fn silent_tls_client_is_disconnected() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificate(folder.path());
    let mut limits = HttpLimits::default();
    limits.header_timeout = Duration::from_secs(10);
    let server = builder(folder.path())
        .limits(limits)
        .start()
        .await
        .expect("started");
    let address = server.local_addr();
    let mut silent = TcpStream::connect(address).await.expect("a connection");
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
