//! HTTP/2 and TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::header::{HeaderValue, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use runtime_core::error_chain;
use runtime_fetcher::{FetchConfig, FetchContext, HttpClient};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{RecordedProgress, config, context_with, get};

/// A TLS server that returns the HTTP version of the request, stopped on drop.
struct TlsServer {
    url: String,
    certificate: String,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl TlsServer {
    async fn start(protocols: &[&str]) -> Self {
        Self::start_as("localhost", protocols, |_| ()).await
    }

    /// Starts a server with a self-signed certificate for a name.
    async fn start_as(
        name: &str,
        protocols: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).expect("name is valid");
        change(&mut params);
        let signing_key = KeyPair::generate().expect("key generation succeeds");
        let cert = params
            .self_signed(&signing_key)
            .expect("certificate is valid");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("key is valid");
        let provider = Arc::new(ring::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions are supported")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("key matches the certificate");
        tls.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();

        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("socket is bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = accept(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            Arc::clone(&connections),
        );
        Self {
            url: format!("https://localhost:{port}/"),
            certificate: cert.pem(),
            connections,
            accepting: tokio::spawn(accepting),
        }
    }

    fn context(&self) -> FetchContext {
        context_with(FetchConfig {
            ca_certificates: vec![self.certificate.clone()],
            ..config()
        })
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, connections: Arc<AtomicUsize>) {
    let mut serving = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, connections) = (tls.clone(), Arc::clone(&connections));
        serving.spawn(async move {
            // A client that does not trust the certificate disconnects here.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            connections.fetch_add(1, Ordering::SeqCst);
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder
                .serve_connection(TokioIo::new(stream), service_fn(respond))
                .await;
        });
    }
}

async fn respond(
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(format!("{:?}", request.version()).into());
    if request.uri().path() == "/to-http" {
        *response.status_mut() = StatusCode::FOUND;
        let location = HeaderValue::from_static("http://localhost:1/file?token=secret");
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

#[tokio::test]
async fn http2_shares_one_connection() {
    let server = TlsServer::start(&["h2", "http/1.1"]).await;
    let context = server.context();
    assert_eq!(
        get(&context, &server.url).await.expect("fetch succeeds"),
        "HTTP/2.0"
    );
    let many = join_all((0..20).map(|_| get(&context, &server.url))).await;
    assert!(
        many.into_iter()
            .all(|bytes| bytes.expect("fetch succeeds") == "HTTP/2.0")
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http1_is_the_fallback() {
    let server = TlsServer::start(&["http/1.1"]).await;
    assert_eq!(
        get(&server.context(), &server.url)
            .await
            .expect("fetch succeeds"),
        "HTTP/1.1"
    );
}

#[tokio::test]
async fn https_downgrade_is_refused() {
    let server = TlsServer::start(&["h2"]).await;
    let error = get(&server.context(), &format!("{}to-http", server.url)).await;
    let error = error.expect_err("redirect is refused");
    assert!(error.is_broken_reference(), "{error:?}");
    let text = error_chain(&error);
    let expected = "refused redirect to `http://localhost:1/file?…`: downgrade from HTTPS to HTTP";
    assert!(text.contains(expected), "{text}");
}

/// Returns the error of a fetch that must not be retried.
async fn refusal(context: &FetchContext, server: &TlsServer) -> String {
    let recorded = RecordedProgress::default();
    let context = context.clone().with_listener(recorded.listener());
    let error = get(&context, &server.url)
        .await
        .expect_err("certificate is not accepted");
    assert!(error.is_broken_reference(), "{error:?}");
    let retries = recorded.retries.lock().expect("lock is not poisoned");
    assert!(retries.is_empty(), "{retries:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    error_chain(&error)
}

#[tokio::test]
async fn unknown_certificate_is_not_trusted() {
    let server = TlsServer::start(&["h2"]).await;
    let text = refusal(&context_with(config()), &server).await;
    let expected = "no TLS connection to `localhost`: the certificate of the server is not signed by a trusted authority";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn expired_certificate_is_named() {
    let server = TlsServer::start_as("localhost", &["h2"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let server = server.await;
    let text = refusal(&server.context(), &server).await;
    assert!(text.contains("certificate expired"), "{text}");
}

#[tokio::test]
async fn certificate_of_another_name_is_named() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let server = TlsServer::start_as("other.example", &["h2"], |params| params.is_ca = is_ca);
        let server = server.await;
        let text = refusal(&server.context(), &server).await;
        assert!(text.contains("other.example"), "{text}");
    }
}

#[tokio::test]
async fn self_signed_certificate_is_its_own_authority() {
    // `openssl req -x509` marks it as an authority.
    let server = TlsServer::start_as("localhost", &["h2"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let server = server.await;
    let bytes = get(&server.context(), &server.url).await;
    assert_eq!(bytes.expect("certificate is trusted"), "HTTP/2.0");
    // Without being configured, it is not.
    refusal(
        &context_with(config()),
        &TlsServer::start_as("localhost", &["h2"], |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        })
        .await,
    )
    .await;
}

#[tokio::test]
async fn expired_authority_is_refused() {
    let server = TlsServer::start_as("localhost", &["h2"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let server = server.await;
    let text = refusal(&server.context(), &server).await;
    assert!(text.contains("certificate expired"), "{text}");
}

#[test]
fn invalid_certificate_is_named() {
    let mut config = config();
    config.ca_certificates = vec!["-----BEGIN NOTHING-----".to_owned()];
    let error = HttpClient::new(config).expect_err("certificate is invalid");
    assert!(
        error_chain(&error).contains("additional CA certificate 0"),
        "{}",
        error_chain(&error)
    );
}
