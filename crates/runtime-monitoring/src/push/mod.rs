//! What pushes to a service: an HTTP client with TLS by rustls on ring, and how starting can fail.

use std::time::Duration;

use runtime_core::{BoxError, Timestamp};
use runtime_http::reqwest::header::HeaderMap;
use runtime_http::reqwest::{Client, StatusCode, Url};
use runtime_http::{client_builder, lenient_tls_config, retry_after};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a service should call this program.
pub(crate) const USER_AGENT: &str = concat!("worker-runtime/", env!("CARGO_PKG_VERSION"));

/// Something that pushes cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The address is no URL of HTTP. The address itself may hold a secret and is not shown.
    #[error(
        "cannot push to the configured {what}: it is not a URL that starts with http:// or https://"
    )]
    Address {
        /// What the address is of.
        what: &'static str,
    },

    /// A header cannot be sent.
    #[error(
        "cannot send the configured header `{name}`: its name or its value has characters that no header may have"
    )]
    Header {
        /// Its name.
        name: String,
    },

    /// There is neither a DSN nor a place to get one from.
    #[error("cannot report to Sentry: configure a `dsn`, or a `project` and give a source of DSNs")]
    NoDsn,

    /// There is no HTTP client.
    #[error("cannot push: there is no HTTP client, or the machine has no root certificates")]
    Client(#[source] BoxError),
}

/// Posts small bodies.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client);

/// What came of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The service took it.
    Taken,
    /// The service asks to come again, not before so long.
    Later(Duration),
    /// The service does not let us.
    Forbidden,
    /// The service does not want it.
    Refused(StatusCode),
}

impl Http {
    /// Makes a client that follows no redirects and reads no environment.
    ///
    /// A machine without root certificates can still speak `http`; to `https` every handshake fails there.
    pub(crate) fn new() -> Result<Self, PushError> {
        let tls = lenient_tls_config(&[]).map_err(|error| PushError::Client(error.into()))?;
        let client = client_builder(tls, USER_AGENT).timeout(PATIENCE).build();
        client
            .map(Self)
            .map_err(|error| PushError::Client(error.into()))
    }

    /// Posts a body; what went wrong on the way is worth another try.
    pub(crate) async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Posted {
        let request = self.0.post(url.clone()).headers(headers).body(body);
        let Ok(answer) = request.send().await else {
            return Posted::Later(Duration::ZERO);
        };
        match answer.status() {
            status if status.is_success() => Posted::Taken,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Posted::Forbidden,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Posted::Later(asked(answer.headers()))
            }
            status if status.is_server_error() => Posted::Later(asked(answer.headers())),
            status => Posted::Refused(status),
        }
    }
}

/// Reads an address of a service.
#[cfg(feature = "otlp")]
pub(crate) fn address(what: &'static str, url: &str) -> Result<Url, PushError> {
    let url = Url::parse(url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(PushError::Address { what })
}

/// The delay that the service asks for; by default none.
fn asked(headers: &HeaderMap) -> Duration {
    retry_after(headers, Timestamp::now()).unwrap_or_default()
}
