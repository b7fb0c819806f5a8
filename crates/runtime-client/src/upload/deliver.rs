//! Sends bytes to a store, with retries.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use runtime_core::artifact::UploadError;
use runtime_core::{ApiError, BoxError, error_chain};
use runtime_http::{excerpt, read_error_body, reqwest, retry_after, tls_failure};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::body_stream;
use super::digests::Digests;
use super::source::{Source, SourceError};
use crate::client::Client;
use crate::transport::retries::Retries;

/// The size up to which bytes in memory are compressed, hashed and sent without a thread.
pub(super) const MAX_INLINE_BYTES: usize = 16 << 10;

/// The start of a store's error body that is read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// A signed URL that accepts a `PUT` with these headers until it expires.
pub(super) struct UploadUrl {
    pub(super) url: SecretString,
    pub(super) headers: HeaderMap,
}

/// Provides upload URLs: a new one for each attempt, since the last one may have expired.
pub(super) trait UploadUrlProvider: Sync {
    /// Requests an upload URL. The request can be repeated and has no further effect.
    fn request_url(&self) -> impl Future<Output = Result<UploadUrl, ApiError>> + Send;
}

/// An error while sending the bytes of an artifact.
pub(super) enum DeliverError {
    /// The source failed. A retry would not help.
    Source(SourceError),
    /// The queue, the store or the connection failed.
    Store(UploadError),
}

impl From<UploadError> for DeliverError {
    fn from(error: UploadError) -> Self {
        Self::Store(error)
    }
}

impl Client {
    /// Sends `source` to an upload URL of `provider` and returns the digests of the stored bytes.
    pub(super) async fn deliver(
        &self,
        name: &str,
        source: &Arc<Source>,
        provider: &impl UploadUrlProvider,
    ) -> Result<Digests, DeliverError> {
        let mut retries = Retries::new(self.transport.settings.retry);
        loop {
            retries.begin_attempt();
            let attempt = UploadAttempt {
                name,
                number: retries.attempts(),
            };
            // Retried on its own, so an error here is final. Requested for each attempt, since a signed URL expires.
            let url = provider
                .request_url()
                .await
                .map_err(|error| declare_error(name, error))?;
            let started = Instant::now();
            let error = match self.put(attempt, url, source).await {
                Err(DeliverError::Store(error)) => error,
                result => return result,
            };
            // A large body may take longer than the whole budget, which is for the time a store is unavailable. So only
            // the delays count, and the number of attempts is limited in addition.
            retries.exclude(started.elapsed());
            let is_last = retries.attempts() >= self.transport.settings.upload_attempts;
            if is_last || !error.is_transient() || !retries.wait(requested_delay(&error)).await {
                return Err(error.into());
            }
            tracing::warn!(
                artifact = name,
                error = error_chain(&error),
                "upload failed, retrying"
            );
        }
    }

    /// Sends all bytes once.
    async fn put(
        &self,
        attempt: UploadAttempt<'_>,
        url: UploadUrl,
        source: &Arc<Source>,
    ) -> Result<Digests, DeliverError> {
        let stall_timeout = self.transport.settings.stall_timeout;
        let request = self
            .transport
            .http
            .put(url.url.expose_secret())
            .headers(url.headers)
            // Stores refuse chunked bodies. With the length, a connection also fails if the body ends early.
            .header(CONTENT_LENGTH, source.length());
        // No time limit for the whole request, only for a lack of progress.
        let (sent, read) = match &**source {
            // A thread would take longer to start than to hash them, and they are sent with the head of the request.
            Source::Bytes(bytes) if bytes.len() <= MAX_INLINE_BYTES => {
                let request = request.body(bytes.clone());
                let sent = tokio::time::timeout(stall_timeout, request.send()).await;
                (sent.ok(), Ok(Digests::of(bytes)))
            }
            _ => {
                let (body, reader) = body_stream::start(Arc::clone(source));
                let request = request.body(reqwest::Body::wrap(body));
                let sent = tokio::select! {
                    sent = request.send() => Some(sent),
                    () = reader.stalled(stall_timeout) => None,
                };
                // Also ends the reading thread of a request that failed or stalled.
                (sent, reader.finish().await)
            }
        };
        // An error of the source takes precedence: it caused the aborted request, and a retry would not help.
        if let Err(error @ (SourceError::Read(_) | SourceError::Changed { .. })) = read {
            return Err(DeliverError::Source(error));
        }
        let sent = sent.ok_or_else(|| {
            attempt.send_failure(format!("no progress for {stall_timeout:?}"), false)
        })?;
        let response = sent.map_err(|error| attempt.send_error(error.without_url()))?;
        if !response.status().is_success() {
            return Err(self.refused(attempt, response).await.into());
        }
        // `read` fails if the connection did not take all bytes: the store has an incomplete artifact.
        read.map_err(|_| {
            let reason = "the store reported success before it had received all bytes";
            attempt.send_failure(reason, false).into()
        })
    }

    /// Converts an error response of a store. A redirect is an error too: the store has not stored the bytes.
    async fn refused(
        &self,
        attempt: UploadAttempt<'_>,
        response: reqwest::Response,
    ) -> UploadError {
        let settings = &self.transport.settings;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), settings.clock.now());
        let body = read_error_body(response, MAX_ERROR_BODY_BYTES, settings.stall_timeout).await;
        UploadError::Refused {
            name: attempt.name.to_owned(),
            status,
            code: s3_error_code(&body),
            message: excerpt(&body),
            retry_after,
            attempts: attempt.number,
        }
    }
}

/// The artifact and the number of the attempt, for errors.
#[derive(Clone, Copy)]
struct UploadAttempt<'a> {
    name: &'a str,
    number: u32,
}

impl UploadAttempt<'_> {
    fn send_error(self, error: reqwest::Error) -> UploadError {
        let is_permanent = tls_failure(&error).is_some_and(|failure| failure.is_permanent);
        self.send_failure(error, is_permanent)
    }

    fn send_failure(self, source: impl Into<BoxError>, is_permanent: bool) -> UploadError {
        UploadError::Send {
            name: self.name.to_owned(),
            attempts: self.number,
            is_permanent,
            source: source.into(),
        }
    }
}

pub(super) fn declare_error(name: &str, source: ApiError) -> UploadError {
    UploadError::Declare {
        name: name.to_owned(),
        source,
    }
}

fn requested_delay(error: &UploadError) -> Option<Duration> {
    match error {
        UploadError::Refused { retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// Returns the error code of an XML error body, such as `EntityTooLarge`.
fn s3_error_code(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body);
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.trim().to_owned())
}
