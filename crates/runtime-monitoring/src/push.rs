//! The HTTP client for services that receive metrics and error reports.

use std::time::Duration;

use runtime_core::util::is_transient_status;
use runtime_core::{BoxError, Timestamp, error_chain};
use runtime_http::reqwest::header::HeaderMap;
use runtime_http::reqwest::{self, Client, StatusCode, Url};
use runtime_http::{client_builder, lenient_tls_config, retry_after, tls_failure};

/// The time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const USER_AGENT: &str = concat!("worker-runtime/", env!("CARGO_PKG_VERSION"));

/// The reason pushing to a service could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartPushError {
    /// A configured URL is invalid. The text omits it, because it may contain a secret.
    #[error("invalid {what}: expected a URL that starts with http:// or https://")]
    Address {
        /// The purpose of the URL.
        what: &'static str,
    },

    /// A configured header is invalid.
    #[error(
        "invalid header `{name}`: its name or value contains a character not allowed in headers"
    )]
    Header {
        /// The name of the header.
        name: String,
    },

    /// Neither a DSN nor a source of DSNs is configured.
    #[error("no Sentry DSN: configure `dsn`, or `project` and pass a source of DSNs")]
    NoDsn,

    /// The HTTP client could not be created.
    #[error("cannot create the HTTP client")]
    Client(#[source] BoxError),
}

/// A client that sends small request bodies with `POST`.
#[derive(Clone, Debug)]
pub(crate) struct PushClient(Client);

/// The failure of a push.
#[derive(Debug)]
pub(crate) struct PushFailure {
    pub(crate) kind: PushFailureKind,
    /// The text after the name of the service, such as "responded with status 503".
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushFailureKind {
    /// A transient failure. The service asks to wait for this duration, 0 by default.
    Transient(Duration),
    /// The credentials were rejected.
    Forbidden,
    /// The same request would fail again.
    Permanent,
}

impl PushClient {
    /// Creates a client that follows no redirects and reads no environment variables.
    ///
    /// On a machine without root certificates, `http:` works, and every `https:` request fails in its handshake.
    pub(crate) fn new() -> Result<Self, StartPushError> {
        let tls = lenient_tls_config(&[]).map_err(|error| StartPushError::Client(error.into()))?;
        let client = client_builder(tls, USER_AGENT).timeout(REQUEST_TIMEOUT);
        client
            .build()
            .map(Self)
            .map_err(|error| StartPushError::Client(error.into()))
    }

    /// Sends a body. A request without a response is a transient failure, unless TLS would fail again.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), PushFailure> {
        let request = self.0.post(url.clone()).headers(headers).body(body);
        let response = request
            .send()
            .await
            .map_err(PushFailure::without_response)?;
        let status = response.status();
        let kind = match status {
            status if status.is_success() => return Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PushFailureKind::Forbidden,
            status if is_transient_status(status.as_u16()) => {
                let delay = retry_after(response.headers(), Timestamp::now());
                PushFailureKind::Transient(delay.unwrap_or_default())
            }
            _ => PushFailureKind::Permanent,
        };
        let reason = match kind {
            PushFailureKind::Forbidden => format!("rejected the credentials (status {status})"),
            _ => format!("responded with status {status}"),
        };
        Err(PushFailure { kind, reason })
    }
}

impl PushFailure {
    fn without_response(error: reqwest::Error) -> Self {
        // Its URL may contain a secret.
        let error = error.without_url();
        let kind = match tls_failure(&error) {
            Some(failure) if failure.is_permanent => PushFailureKind::Permanent,
            _ => PushFailureKind::Transient(Duration::ZERO),
        };
        let reason = format!("cannot be reached: {}", error_chain(&error));
        Self { kind, reason }
    }
}

/// Parses the URL of a service.
#[cfg(feature = "otlp")]
pub(crate) fn parse_url(what: &'static str, url: &str) -> Result<Url, StartPushError> {
    let url = Url::parse(url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(StartPushError::Address { what })
}
