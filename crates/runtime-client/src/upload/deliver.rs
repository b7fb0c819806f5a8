//! Sends bytes to a store until it has them.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use runtime_core::artifact::UploadError;
use runtime_core::{ApiError, BoxError};
use secrecy::{ExposeSecret, SecretString};

use super::digests::Digests;
use super::feed;
use super::source::{Fault, Source};
use crate::Client;
use crate::settings::RetrySettings;
use crate::transport::{Backoff, excerpt, read_body};

/// Longest answer of a store that is read.
const LONGEST_ANSWER: usize = 64 << 10;

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
        let mut backoff = Backoff::new(without_budget(self.transport.settings.retry));
        loop {
            backoff.begin_attempt();
            let attempt = Attempt {
                name,
                number: backoff.attempts(),
            };
            let target = destination
                .target()
                .await
                .map_err(|error| declare(name, error))?;
            let failure = match self.put(attempt, target, source).await {
                Err(Undelivered::Store(failure)) => failure,
                done => return done,
            };
            let exhausted = backoff.attempts() >= self.transport.settings.upload_attempts;
            if exhausted || !failure.is_transient() || !backoff.wait(None).await {
                return Err(failure.into());
            }
            tracing::warn!(
                artifact = name,
                error = runtime_core::chain(&failure),
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
            return Err(attempt.refused(response, stall_timeout).await.into());
        }
        read.map_err(|_| {
            attempt
                .lost("the store said yes before it had all bytes".into())
                .into()
        })
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

    /// Any status but 2xx is a failure, a redirect too: nothing was stored.
    async fn refused(self, response: reqwest::Response, patience: Duration) -> UploadError {
        let status = response.status().as_u16();
        let body = tokio::time::timeout(patience, read_body(response, LONGEST_ANSWER)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        UploadError::Refused {
            name: self.name.to_owned(),
            status,
            message: excerpt(&body),
            attempts: self.number,
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

/// Large bodies take the time that they take; what bounds them is the number of attempts.
fn without_budget(mut settings: RetrySettings) -> RetrySettings {
    settings.budget = Duration::MAX;
    settings
}
