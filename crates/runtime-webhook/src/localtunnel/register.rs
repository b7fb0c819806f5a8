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
    Tls(#[from] rustls::Error),

    /// The server cannot be reached.
    #[error("cannot connect to the localtunnel server at {host}:{port}")]
    Unreachable {
        /// The name of the server.
        host: String,
        /// Its port.
        port: u16,
        /// What the operating system or TLS said.
        source: io::Error,
    },

    /// The server did not answer as localtunnel servers do.
    #[error("the localtunnel server did not answer properly")]
    Answer(#[source] BoxError),

    /// The server does not want to.
    #[error("the localtunnel server refused with status {status}: {message:?}")]
    Refused {
        /// Of its answer.
        status: StatusCode,
        /// What it said.
        message: String,
    },

    /// It took too long.
    #[error("the localtunnel server did not answer in {seconds} s")]
    Timeout {
        /// How long it had.
        seconds: u64,
    },
}

fn improper(error: impl Into<BoxError>) -> LocaltunnelError {
    LocaltunnelError::Answer(error.into())
}

pub(super) async fn register(target: &Target) -> Result<Registration, LocaltunnelError> {
    let answer = timeout(TIMEOUT, ask(target)).await;
    let (status, body) = answer.unwrap_or(Err(LocaltunnelError::Timeout {
        seconds: TIMEOUT.as_secs(),
    }))?;
    read(&target.address.host, status, &body)
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
    let (mut sender, connection) = handshake.map_err(improper)?;
    let _running = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request(target)?).await;
    let response = response.map_err(improper)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    Ok((status, body.map_err(improper)?.to_bytes()))
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
        .map_err(improper)
}

fn read(host: &str, status: StatusCode, body: &[u8]) -> Result<Registration, LocaltunnelError> {
    if !status.is_success() {
        let refusal = serde_json::from_slice::<Refusal>(body);
        let message = refusal.map_or_else(
            |_| String::from_utf8_lossy(body).trim().to_owned(),
            |refusal| refusal.message,
        );
        return Err(LocaltunnelError::Refused { status, message });
    }
    let answer: Answer = serde_json::from_slice(body).map_err(improper)?;
    Ok(Registration {
        base: format!("{}/", answer.url.trim_end_matches('/')),
        host: answer.ip.unwrap_or_else(|| host.to_owned()),
        port: answer.port,
        connections: answer
            .max_conn_count
            .unwrap_or(1)
            .clamp(1, MOST_CONNECTIONS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_where_to_connect() {
        let body = br#"{"id": "abcd", "port": 4321, "max_conn_count": 99, "url": "https://abcd.example.com"}"#;
        let registration = read("example.com", StatusCode::OK, body).expect("an answer");
        let expected = Registration {
            base: "https://abcd.example.com/".to_owned(),
            host: "example.com".to_owned(),
            port: 4321,
            connections: 10,
        };
        assert_eq!(registration, expected);
        let body = br#"{"id": "a", "port": 1, "url": "http://a/", "ip": "203.0.113.7"}"#;
        let registration = read("example.com", StatusCode::OK, body).expect("an answer");
        assert_eq!(
            (registration.host.as_str(), registration.connections),
            ("203.0.113.7", 1)
        );
    }

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let body = br#"{"message": "Invalid subdomain."}"#;
        let error = read("x", StatusCode::FORBIDDEN, body).expect_err("it refused");
        assert!(error.to_string().contains("403") && error.to_string().contains("Invalid"));
        assert!(matches!(
            read("x", StatusCode::OK, b"<html>"),
            Err(LocaltunnelError::Answer(_))
        ));
    }
}
