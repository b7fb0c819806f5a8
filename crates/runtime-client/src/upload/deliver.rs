//! Sends bytes to a store until it has them.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use runtime_core::artifact::UploadError;
use runtime_core::{ApiError, BoxError};
use runtime_http::{excerpt, read_error_body, reqwest, retry_after};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::digests::Digests;
use super::feed;
use super::source::{Fault, Source};
use crate::Client;
use crate::transport::Retries;

/// The start of a store's error body that is read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// Where a store wants the bytes, for a while.
pub(super) struct Target {
    pub(super) url: SecretString,
    pub(super) headers: HeaderMap,
}

/// Gives targets: a new one for each attempt, since the last may have expired or been refused.
pub(super) trait Destination: Sync {
    /// Asks for a target. Asking again with the same facts is allowed and changes nothing.
    fn target(&self) -> impl Future<Output = Result<Target, ApiError>> + Send;
}

/// Bytes did not arrive.
pub(super) enum Undelivered {
    /// Because of their source; another attempt would not help.
    Source(Fault),
    /// Because of queue, store or network.
    Store(UploadError),
}

impl Undelivered {
    /// Whether credentials were refused, so that others may help.
    pub(super) fn is_unauthorized(&self) -> bool {
        let Self::Store(UploadError::Declare { source, .. }) = self else {
            return false;
        };
        source.status() == Some(401)
    }
}

impl Client {
    /// Sends `source` to what `destination` says. Returns what is known of the bytes that the store took.
    pub(super) async fn deliver(
        &self,
        name: &str,
        source: &Arc<Source>,
        destination: &impl Destination,
    ) -> Result<Digests, Undelivered> {
        let mut retries = Retries::new(self.transport.settings.retry);
        loop {
            retries.begin_attempt();
            let attempt = Attempt {
                name,
                number: retries.attempts(),
            };
            let target = destination
                .target()
                .await
                .map_err(|error| declare(name, error))?;
            let started = Instant::now();
            let failure = match self.put(attempt, target, source).await {
                Err(Undelivered::Store(failure)) => failure,
                done => return done,
            };
            // Large bodies take the time that they take.
            retries.exclude(started.elapsed());
            let exhausted = retries.attempts() >= self.transport.settings.upload_attempts;
            if exhausted || !failure.is_transient() || !retries.wait(asked_for(&failure)).await {
                return Err(failure.into());
            }
            tracing::warn!(
                artifact = name,
                error = runtime_core::error_chain(&failure),
                "sending it again"
            );
        }
    }

    async fn put(
        &self,
        attempt: Attempt<'_>,
        target: Target,
        source: &Arc<Source>,
    ) -> Result<Digests, Undelivered> {
        let stall_timeout = self.transport.settings.stall_timeout;
        let (feed, reading) = feed::start(Arc::clone(source));
        let request = self
            .transport
            .http
            .put(target.url.expose_secret())
            .headers(target.headers);
        let request = request
            .header(CONTENT_LENGTH, source.length())
            .body(reqwest::Body::wrap(feed));
        let sent = tokio::select! {
            sent = request.send() => sent.map_err(|error| error.without_url().into()),
            () = reading.stalled(stall_timeout) => Err(format!("nothing moved for {stall_timeout:?}").into()),
        };
        let read = reading.end().await;
        if let Err(fault @ (Fault::Read(_) | Fault::Changed { .. })) = read {
            return Err(Undelivered::Source(fault));
        }
        let response = sent.map_err(|error| attempt.lost(error))?;
        if !response.status().is_success() {
            return Err(self.refused(attempt, response).await.into());
        }
        read.map_err(|_| {
            attempt
                .lost("the store said yes before it had all bytes".into())
                .into()
        })
    }

    /// Any status but 2xx is a failure, a redirect too: nothing was stored.
    async fn refused(&self, attempt: Attempt<'_>, response: reqwest::Response) -> UploadError {
        let settings = &self.transport.settings;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), settings.clock.now());
        let body = read_error_body(response, MAX_ERROR_BODY_BYTES, settings.stall_timeout).await;
        UploadError::Refused {
            name: attempt.name.to_owned(),
            status,
            code: code(&body),
            message: excerpt(&body),
            retry_after,
            attempts: attempt.number,
        }
    }
}

/// Which attempt of which upload, for errors.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    name: &'a str,
    number: u32,
}

impl Attempt<'_> {
    fn lost(self, source: BoxError) -> UploadError {
        UploadError::Send {
            name: self.name.to_owned(),
            attempts: self.number,
            source,
        }
    }
}

impl From<UploadError> for Undelivered {
    fn from(error: UploadError) -> Self {
        Self::Store(error)
    }
}

pub(super) fn declare(name: &str, source: ApiError) -> UploadError {
    UploadError::Declare {
        name: name.to_owned(),
        source,
    }
}

fn asked_for(failure: &UploadError) -> Option<Duration> {
    match failure {
        UploadError::Refused { retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// What the store calls its error, in the XML that stores answer with.
fn code(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.trim().to_owned())
}
