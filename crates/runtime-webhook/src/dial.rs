//! Connects to servers of HTTP, with TLS or without.

use std::io;
use std::sync::Arc;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection, encrypted or not.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_encrypted: bool,
}

/// A URL that does not name a server.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is no URL.
    #[error("`{url}` is not a URL")]
    Malformed {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },

    /// It is not complete, or of another kind.
    #[error(
        "`{url}` does not name a server; it should look like `https://host` or `http://host:port`"
    )]
    NoServer {
        /// What was given.
        url: String,
    },
}

impl Address {
    /// Reads where the server of a URL is, and the URL itself; `ws` and `wss` are taken for `http` and `https`.
    pub(crate) fn parse(url: &str) -> Result<(Self, Uri), UrlError> {
        let uri = url.parse::<Uri>().map_err(|source| UrlError::Malformed {
            url: url.to_owned(),
            source,
        })?;
        let address = Self::of(&uri).ok_or_else(|| UrlError::NoServer {
            url: url.to_owned(),
        })?;
        Ok((address, uri))
    }

    fn of(uri: &Uri) -> Option<Self> {
        let is_encrypted = match uri.scheme_str()? {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return None,
        };
        let default = if is_encrypted { 443 } else { 80 };
        Some(Self {
            // Brackets are part of URLs, not of addresses.
            host: uri.host()?.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default),
            is_encrypted,
        })
    }
}

/// Connects; the caller limits the time.
pub(crate) async fn connect(
    address: &Address,
    tls: &Arc<ClientConfig>,
) -> io::Result<Box<dyn Connection>> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    if !address.is_encrypted {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    Ok(Box::new(connector.connect(name, stream).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_gives_port_and_encryption() {
        let check = |url, host: &str, port, is_encrypted| {
            let (address, _) = Address::parse(url).expect("a URL of a server");
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
            assert_eq!(address.is_encrypted, is_encrypted, "{url}");
        };
        check(
            "https://tunnel.example.com",
            "tunnel.example.com",
            443,
            true,
        );
        check(
            "wss://tunnel.example.com:8443/",
            "tunnel.example.com",
            8443,
            true,
        );
        check("http://[::1]:80/", "::1", 80, false);
        check("ws://localhost", "localhost", 80, false);
    }

    #[test]
    fn what_names_no_server_is_refused_with_an_example() {
        for url in ["ftp://host", "/path", "host:80", ""] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
        let error = Address::parse("tunnel").expect_err("no scheme").to_string();
        assert!(error.contains("https://host"), "{error}");
    }
}
