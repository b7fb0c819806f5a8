//! HTTP/1.1 requests to a tunnel server, with or without TLS.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http::uri::InvalidUri;
use http::{Request, Response, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use runtime_core::BoxError;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// The time limit of an exchange with the server, including connect and TLS handshake.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// A tunnel server by URL.
#[derive(Clone, Debug)]
pub(crate) struct TunnelServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    is_encrypted: bool,
    pub(crate) uri: Uri,
    tls: Arc<ClientConfig>,
}

/// A tunnel cannot start with its options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelSetupError {
    /// The URL of the server is malformed, or its scheme is not supported.
    #[error("invalid URL `{url}`: expected `https://host` or `http://host:port`")]
    Url {
        /// The URL.
        url: String,
        /// The parse error; `None` for an unsupported scheme or a missing host.
        source: Option<InvalidUri>,
    },

    /// TLS cannot be set up.
    #[error("cannot set up TLS for the tunnel")]
    Tls(#[from] runtime_http::TlsError),
}

/// A request to a tunnel server failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelServerError {
    /// The server cannot be reached.
    #[error(
        "cannot connect to the tunnel server at {server}; check its URL and whether a firewall blocks the connection"
    )]
    Unreachable {
        /// The host and the port of the server.
        server: String,
        /// The error of TCP or TLS.
        source: io::Error,
    },

    /// The response is not that of a tunnel server.
    #[error("invalid response from the tunnel server at {server}; check its URL")]
    InvalidResponse {
        /// The host and the port of the server.
        server: String,
        /// The error of HTTP, or the violation of the protocol.
        source: BoxError,
    },

    /// The server did not respond in time.
    #[error("no response from the tunnel server at {server} within {seconds} s")]
    Timeout {
        /// The host and the port of the server.
        server: String,
        /// The time limit in seconds.
        seconds: u64,
    },
}

/// A response, with the task that drives its connection.
///
/// The task ends by itself when the connection is upgraded, and is aborted with this value otherwise.
pub(crate) struct ResponseConnection {
    pub(crate) response: Response<Incoming>,
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

/// A connection with or without TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

impl TunnelServer {
    /// Parses the URL of a server. The schemes `ws` and `wss` stand for `http` and `https`.
    pub(crate) fn parse(url: &str, tls: Arc<ClientConfig>) -> Result<Self, TunnelSetupError> {
        let invalid = |source| TunnelSetupError::Url {
            url: url.to_owned(),
            source,
        };
        let uri = url.parse().map_err(|source| invalid(Some(source)))?;
        Self::new(uri, tls).ok_or_else(|| invalid(None))
    }

    fn new(uri: Uri, tls: Arc<ClientConfig>) -> Option<Self> {
        let (is_encrypted, default_port) = match uri.scheme_str()? {
            "http" | "ws" => (false, 80),
            "https" | "wss" => (true, 443),
            _ => return None,
        };
        Some(Self {
            // An IPv6 address has brackets in a URL, but not as a host name.
            host: uri.host()?.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            is_encrypted,
            uri,
            tls,
        })
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns a GET request to this path.
    pub(crate) fn get(&self, path: &str) -> Builder {
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        Request::get(path).header(header::HOST, authority)
    }

    /// Connects, sends a request and waits for the head of the response.
    pub(crate) async fn send(
        &self,
        request: Builder,
    ) -> Result<ResponseConnection, TunnelServerError> {
        let invalid = |error: BoxError| self.invalid_response(error);
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| invalid(error.into()))?;
        let stream = self.connect().await;
        let stream = stream.map_err(|source| TunnelServerError::Unreachable {
            server: self.address(),
            source,
        })?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| invalid(error.into()))?;
        // hyper separates the request handle from the connection, which has to be polled in a task.
        let connection = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
        let response = sender.send_request(request).await;
        Ok(ResponseConnection {
            response: response.map_err(|error| invalid(error.into()))?,
            _connection: connection,
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn ByteStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // The tunnel carries many small frames, which Nagle's algorithm would delay.
        stream.set_nodelay(true)?;
        if !self.is_encrypted {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    /// Limits an exchange to 30 seconds.
    pub(crate) async fn with_timeout<T, E: From<TunnelServerError>>(
        &self,
        exchange: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = timeout(EXCHANGE_TIMEOUT, exchange).await;
        result.unwrap_or_else(|_| {
            let error = TunnelServerError::Timeout {
                server: self.address(),
                seconds: EXCHANGE_TIMEOUT.as_secs(),
            };
            Err(error.into())
        })
    }

    pub(crate) fn invalid_response(&self, error: impl Into<BoxError>) -> TunnelServerError {
        TunnelServerError::InvalidResponse {
            server: self.address(),
            source: error.into(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parse(url: &str) -> Result<TunnelServer, TunnelSetupError> {
        let tls = runtime_http::lenient_tls_config(&[]).expect("a TLS configuration");
        TunnelServer::parse(url, Arc::new(tls))
    }

    #[test]
    fn scheme_sets_port_and_encryption() {
        let check = |url, host: &str, port, is_encrypted| {
            let server = parse(url).expect("the URL of a server");
            assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
            assert_eq!(server.is_encrypted, is_encrypted, "{url}");
        };
        check("https://example.com", "example.com", 443, true);
        check("wss://example.com:8443/", "example.com", 8443, true);
        check("http://[::1]:80/", "::1", 80, false);
        check("ws://localhost", "localhost", 80, false);
    }

    #[test]
    fn invalid_url_is_rejected_with_an_example() {
        for url in ["ftp://host", "/path", "host:80", ""] {
            assert!(parse(url).is_err(), "{url}");
        }
        let error = parse("tunnel").expect_err("no scheme").to_string();
        assert!(error.contains("https://host"), "{error}");
    }
}
