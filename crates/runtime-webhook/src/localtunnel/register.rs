//! Asks a localtunnel server for a tunnel.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use runtime_core::BoxError;
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::dial::{self, Address, UrlError};

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const ANSWER: usize = 64 * 1024;

/// The server caps it, too.
const MOST_CONNECTIONS: usize = 10;

/// The server to ask, and for what.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) uri: Uri,
    pub(super) subdomain: Option<String>,
    pub(super) tls: Arc<ClientConfig>,
}

/// A tunnel that the server is ready to use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// What viewers put before the paths of hooks, with a slash at the end.
    pub(super) base: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) connections: usize,
}

/// What the server answers.
#[derive(Deserialize)]
struct Answer {
    port: u16,
    url: String,
    #[serde(default)]
    max_conn_count: Option<usize>,
    #[serde(default)]
    ip: Option<String>,
}

/// What it answers if it does not want to.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// A tunnel could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocaltunnelError {
    /// The URL of the server is none.
    #[error("the URL of the localtunnel server is not right")]
    Url(#[from] UrlError),

    /// The server allows no such subdomain.
    #[error(
        "`{subdomain}` cannot be a subdomain: it takes 4 to 63 lower-case letters, digits and hyphens"
    )]
    Subdomain {
        /// What was given.
        subdomain: String,
    },

    /// There is no way to trust a server.
    #[error("cannot set up TLS for the tunnel")]
    Tls(#[from] runtime_http::TlsError),

    /// The server cannot be reached.
    #[error(
        "cannot connect to the localtunnel server at {host}:{port}; if it is up, check its URL and whether a firewall is in the way"
    )]
    Unreachable {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// What the operating system or TLS said.
        source: io::Error,
    },

    /// The server did not answer as localtunnel servers do.
    #[error(
        "what answers at {host}:{port} does not seem to be a localtunnel server; check the URL"
    )]
    Answer {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// What is wrong with the answer.
        source: BoxError,
    },

    /// The server does not want to.
    #[error("the localtunnel server refused with status {status}: {message:?}")]
    Refused {
        /// Of its answer.
        status: StatusCode,
        /// What it said.
        message: String,
    },

    /// It took too long.
    #[error("the localtunnel server at {host}:{port} did not answer in {seconds} s")]
    Timeout {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// How long it had.
        seconds: u64,
    },
}

pub(super) async fn register(target: &Target) -> Result<Registration, LocaltunnelError> {
    let Address { host, port, .. } = &target.address;
    let answer = timeout(TIMEOUT, ask(target)).await;
    let (status, body) = answer.unwrap_or_else(|_| {
        Err(LocaltunnelError::Timeout {
            host: host.clone(),
            port: *port,
            seconds: TIMEOUT.as_secs(),
        })
    })?;
    read(&target.address, status, &body)
}

async fn ask(target: &Target) -> Result<(StatusCode, Bytes), LocaltunnelError> {
    let address = &target.address;
    let connection = dial::connect(address, &target.tls).await;
    let connection = connection.map_err(|source| LocaltunnelError::Unreachable {
        host: address.host.clone(),
        port: address.port,
        source,
    })?;
    let handshake = http1::handshake(TokioIo::new(connection)).await;
    let (mut sender, connection) = handshake.map_err(|error| address.improper(error))?;
    let _running = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request(target)?).await;
    let response = response.map_err(|error| address.improper(error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    let body = body.map_err(|error| address.improper(error))?;
    Ok((status, body.to_bytes()))
}

fn request(target: &Target) -> Result<Request<Empty<Bytes>>, LocaltunnelError> {
    let folder = target.uri.path().trim_end_matches('/');
    let path = match &target.subdomain {
        Some(subdomain) => format!("{folder}/{subdomain}"),
        None => format!("{folder}/?new"),
    };
    let authority = target
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::new())
        .map_err(|error| target.address.improper(error))
}

fn read(
    address: &Address,
    status: StatusCode,
    body: &[u8],
) -> Result<Registration, LocaltunnelError> {
    if !status.is_success() {
        let refusal = serde_json::from_slice::<Refusal>(body);
        let message = refusal.map_or_else(
            |_| String::from_utf8_lossy(body).trim().to_owned(),
            |refusal| refusal.message,
        );
        return Err(LocaltunnelError::Refused { status, message });
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| address.improper(error))?;
    Ok(Registration {
        base: format!("{}/", answer.url.trim_end_matches('/')),
        host: answer.ip.unwrap_or_else(|| address.host.clone()),
        port: answer.port,
        connections: answer
            .max_conn_count
            .unwrap_or(1)
            .clamp(1, MOST_CONNECTIONS),
    })
}

impl Address {
    fn improper(&self, error: impl Into<BoxError>) -> LocaltunnelError {
        LocaltunnelError::Answer {
            host: self.host.clone(),
            port: self.port,
            source: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str) -> Address {
        let (address, _) = Address::parse(&format!("https://{host}")).expect("a URL");
        address
    }

    #[test]
    fn an_answer_says_where_to_connect() {
        let body = br#"{"id": "abcd", "port": 4321, "max_conn_count": 99, "url": "https://abcd.example.com"}"#;
        let registration = read(&server("example.com"), StatusCode::OK, body).expect("an answer");
        let expected = Registration {
            base: "https://abcd.example.com/".to_owned(),
            host: "example.com".to_owned(),
            port: 4321,
            connections: 10,
        };
        assert_eq!(registration, expected);
        let body = br#"{"id": "a", "port": 1, "url": "http://a/", "ip": "203.0.113.7"}"#;
        let registration = read(&server("example.com"), StatusCode::OK, body).expect("an answer");
        assert_eq!(
            (registration.host.as_str(), registration.connections),
            ("203.0.113.7", 1)
        );
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let body = br#"{"message": "Invalid subdomain."}"#;
        let error = read(&server("x"), StatusCode::FORBIDDEN, body).expect_err("it refused");
        assert!(error.to_string().contains("403") && error.to_string().contains("Invalid"));
        assert!(matches!(
            read(&server("x"), StatusCode::OK, b"<html>"),
            Err(LocaltunnelError::Answer { .. })
        ));
    }
}
