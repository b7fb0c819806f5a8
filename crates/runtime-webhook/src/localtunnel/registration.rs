//! Requests a tunnel from a localtunnel server.

use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;

use crate::tunnel_server::{TunnelServer, TunnelServerError, TunnelSetupError};

/// The maximum length of a response.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The maximum number of idle connections, a limit of the server as well.
const MAX_CONNECTIONS: usize = 10;

/// A tunnel that the server has reserved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registration {
    /// The public URL, with a trailing slash.
    pub(super) base_url: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) connections: usize,
}

#[derive(Deserialize)]
struct RegistrationResponse {
    port: u16,
    url: String,
    #[serde(default)]
    max_conn_count: Option<usize>,
    #[serde(default)]
    ip: Option<String>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    message: String,
}

/// The tunnel cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocaltunnelError {
    /// The URL or the TLS configuration is invalid.
    #[error(transparent)]
    Setup(#[from] TunnelSetupError),

    /// The server does not allow the subdomain.
    #[error(
        "invalid subdomain `{subdomain}`: expected 4 to 63 lowercase letters, digits and hyphens"
    )]
    Subdomain {
        /// The subdomain.
        subdomain: String,
    },

    /// The request failed.
    #[error(transparent)]
    Server(#[from] TunnelServerError),

    /// The server rejected the request.
    #[error("the localtunnel server responded with status {status}: {message:?}")]
    Refused {
        /// The status of the response.
        status: StatusCode,
        /// The message in the response.
        message: String,
    },
}

/// Requests a tunnel, with a certain subdomain or any.
pub(super) async fn register(
    server: &TunnelServer,
    subdomain: Option<&str>,
) -> Result<Registration, LocaltunnelError> {
    let exchange = send_request(server, subdomain);
    let (status, body) = server.with_timeout(exchange).await?;
    parse(server, status, &body)
}

async fn send_request(
    server: &TunnelServer,
    subdomain: Option<&str>,
) -> Result<(StatusCode, Bytes), TunnelServerError> {
    let folder = server.uri.path().trim_end_matches('/');
    let path = match subdomain {
        Some(subdomain) => format!("{folder}/{subdomain}"),
        None => format!("{folder}/?new"),
    };
    let request = server.get(&path).header(header::ACCEPT, "application/json");
    let exchange = server.send(request).await?;
    let (head, body) = exchange.response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
    let body = body.map_err(|error| server.invalid_response(error))?;
    Ok((head.status, body.to_bytes()))
}

fn parse(
    server: &TunnelServer,
    status: StatusCode,
    body: &[u8],
) -> Result<Registration, LocaltunnelError> {
    if !status.is_success() {
        let message = serde_json::from_slice::<ErrorResponse>(body).map_or_else(
            |_| String::from_utf8_lossy(body).trim().to_owned(),
            |error| error.message,
        );
        return Err(LocaltunnelError::Refused { status, message });
    }
    let response: RegistrationResponse =
        serde_json::from_slice(body).map_err(|error| server.invalid_response(error))?;
    // A server that names no number expects one connection.
    let connections = response.max_conn_count.unwrap_or(1);
    Ok(Registration {
        base_url: format!("{}/", response.url.trim_end_matches('/')),
        host: response.ip.unwrap_or_else(|| server.host.clone()),
        port: response.port,
        connections: connections.clamp(1, MAX_CONNECTIONS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel_server::tests::parse as parse_url;

    fn parse_response(status: StatusCode, body: &[u8]) -> Result<Registration, LocaltunnelError> {
        let server = parse_url("https://example.com").expect("a URL");
        parse(&server, status, body)
    }

    #[test]
    fn response_has_host_and_port() {
        let body = br#"{"id": "abcd", "port": 4321, "max_conn_count": 99, "url": "https://abcd.example.com"}"#;
        let registration = parse_response(StatusCode::OK, body).expect("a registration");
        let expected = Registration {
            base_url: "https://abcd.example.com/".to_owned(),
            host: "example.com".to_owned(),
            port: 4321,
            connections: 10,
        };
        assert_eq!(registration, expected);
    }

    #[test]
    fn ip_in_response_replaces_the_host() {
        let body = br#"{"id": "a", "port": 1, "url": "http://a/", "ip": "203.0.113.7"}"#;
        let registration = parse_response(StatusCode::OK, body).expect("a registration");
        assert_eq!(registration.host, "203.0.113.7");
        assert_eq!(registration.connections, 1);
    }

    #[test]
    fn refusal_has_status_and_message() {
        let body = br#"{"message": "Invalid subdomain."}"#;
        let error = parse_response(StatusCode::FORBIDDEN, body).expect_err("a refusal");
        assert!(error.to_string().contains("403") && error.to_string().contains("Invalid"));
        let error = parse_response(StatusCode::OK, b"<html>").expect_err("HTML");
        assert!(matches!(error, LocaltunnelError::Server(_)), "{error:?}");
    }
}
