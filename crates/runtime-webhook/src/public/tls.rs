//! Accepts TLS connections.

use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::Clock;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::{CertificateFiles, ReloadingCertificate};
use super::error::PublicError;
use crate::server::{ConnectionKind, ConnectionPermit, HookServer, spawn_connection};

/// The TLS side of a server: the acceptor, and the certificate to watch.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<ReloadingCertificate>,
    reload_interval: Duration,
    clock: Arc<dyn Clock>,
}

impl Tls {
    pub(super) async fn new(
        files: CertificateFiles,
        reload_interval: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PublicError> {
        let certificate = Arc::new(ReloadingCertificate::load(files).await?);
        Ok(Self {
            acceptor: TlsAcceptor::from(server_config(&certificate)?),
            certificate,
            reload_interval,
            clock,
        })
    }

    /// Serves a connection after its TLS handshake. A client that takes too long is disconnected.
    pub(super) async fn serve(
        self,
        server: Arc<HookServer>,
        stream: TcpStream,
        permit: ConnectionPermit,
    ) {
        let handle = Arc::clone(&permit.handle);
        let handshake = timeout(server.limits.header_timeout, self.acceptor.accept(stream));
        // During the handshake there is no `Socket` yet that checks the handle.
        let stream = tokio::select! {
            result = handshake => result,
            () = handle.aborted() => return,
        };
        let Ok(Ok(stream)) = stream else {
            server.monitor.count("tls-errors", 1);
            return;
        };
        // HTTP/2 is negotiated with ALPN. Clients without ALPN speak HTTP/1.1.
        let kind = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => ConnectionKind::Http2,
            _ => ConnectionKind::Direct,
        };
        spawn_connection(&server, stream, permit, kind);
    }

    /// Reloads the certificate when its files change, until the server stops.
    pub(super) async fn watch_certificate(self, server: Arc<HookServer>) {
        let watch = self
            .certificate
            .watch(self.reload_interval, &*self.clock, &server.monitor);
        server.stopping.run_until_cancelled(watch).await;
    }
}

/// Returns a configuration with TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
fn server_config(
    certificate: &Arc<ReloadingCertificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    // An explicit provider: the default of the process belongs to the application.
    let provider = Arc::clone(&certificate.provider);
    let resolver = Arc::clone(certificate);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
