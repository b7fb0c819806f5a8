//! Reports incidents to Sentry.

mod dsn;
mod endpoint;
mod envelope;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use runtime_core::clock::Clock;
use runtime_core::{BoxError, Secret};
use runtime_http::reqwest::Url;
use runtime_http::reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

pub use self::dsn::{Dsn, DsnSource};
use self::endpoint::Endpoint;
use self::envelope::envelope;
use crate::failure_log::FailureLog;
use crate::incidents::{Delivery, Incident, IncidentQueue, IncidentTransport};
use crate::push::{PushClient, PushFailure, PushFailureKind, StartPushError};

/// A DSN is renewed when it expires within this time.
const RENEW_BEFORE_EXPIRY: SignedDuration = SignedDuration::from_mins(10);

/// The configuration of error reports to Sentry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SentryConfig {
    /// The DSN. Without it, a [source](DsnSource) such as Taskcluster's auth service provides one.
    pub dsn: Option<Secret>,

    /// The name of the project, which a source of DSNs may require.
    pub project: Option<String>,

    /// The environment, such as `production`.
    pub environment: Option<String>,

    /// The version of the program.
    pub release: Option<String>,

    /// The name of the machine.
    pub server_name: Option<String>,

    /// The maximum number of waiting errors. Further ones are dropped and counted.
    pub queue: usize,
}

impl Default for SentryConfig {
    fn default() -> Self {
        Self {
            dsn: None,
            project: None,
            environment: None,
            release: None,
            server_name: None,
            queue: 1000,
        }
    }
}

/// Starts reporting to Sentry. Add the [reporter](IncidentQueue::reporter) of the result to the
/// [`Reporters`](crate::Reporters).
///
/// The id of an event in Sentry is the id of the incident without hyphens. If the configuration has no DSN, `source` provides
/// one at the first incident and again before it expires.
///
/// # Errors
///
/// [`StartPushError::NoDsn`] without a DSN and a source, [`StartPushError::Address`] for an invalid DSN.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn report_to_sentry(
    config: &SentryConfig,
    source: Option<Arc<dyn DsnSource>>,
    clock: Arc<dyn Clock>,
) -> Result<IncidentQueue, StartPushError> {
    let dsn = match &config.dsn {
        Some(dsn) => Some(ParsedDsn::parse(dsn, None)?),
        None if source.is_none() => return Err(StartPushError::NoDsn),
        None => None,
    };
    let transport = SentryTransport {
        client: PushClient::new()?,
        // A configured DSN has precedence and is never replaced.
        source: source.filter(|_| dsn.is_none()),
        clock,
        config: config.clone(),
        dsn,
        failures: FailureLog::default(),
    };
    Ok(IncidentQueue::start(config.queue, transport))
}

struct SentryTransport {
    client: PushClient,
    source: Option<Arc<dyn DsnSource>>,
    clock: Arc<dyn Clock>,
    config: SentryConfig,
    dsn: Option<ParsedDsn>,
    failures: FailureLog,
}

struct ParsedDsn {
    endpoint: Endpoint,
    expires: Option<Timestamp>,
}

impl ParsedDsn {
    fn parse(dsn: &Secret, expires: Option<Timestamp>) -> Result<Self, StartPushError> {
        let endpoint = Endpoint::parse(dsn);
        let endpoint = endpoint.ok_or(StartPushError::Address { what: "Sentry DSN" })?;
        Ok(Self { endpoint, expires })
    }

    fn is_valid_at(&self, time: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > time)
    }
}

#[async_trait]
impl IncidentTransport for SentryTransport {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        let (url, headers) = match self.request_parts().await {
            Ok(parts) => parts,
            Err(error) => {
                self.failures.failure(format_args!(
                    "cannot report errors to Sentry: cannot get a DSN: {error}"
                ));
                return Delivery::RetryAfter(Duration::ZERO);
            }
        };
        let body = envelope(incident, &self.config);
        let Err(PushFailure { kind, reason }) = self.client.post(&url, headers, body).await else {
            self.failures.success();
            return Delivery::Delivered;
        };
        self.failures.failure(format_args!(
            "cannot report errors to Sentry: the service {reason}"
        ));
        match kind {
            PushFailureKind::Transient(delay) => Delivery::RetryAfter(delay),
            PushFailureKind::Permanent => Delivery::Refused,
            PushFailureKind::Forbidden => {
                if self.source.is_some() {
                    // The key may have been revoked: the source is asked for a new DSN.
                    self.dsn = None;
                }
                Delivery::RetryAfter(Duration::ZERO)
            }
        }
    }
}

impl SentryTransport {
    /// Returns the URL and the headers of a request, with a DSN that is still valid for a while.
    async fn request_parts(&mut self) -> Result<(Url, HeaderMap), BoxError> {
        let Endpoint { url, auth } = self.current_dsn().await?.endpoint.clone();
        let content_type = HeaderValue::from_static("application/x-sentry-envelope");
        let headers = [
            (HeaderName::from_static("x-sentry-auth"), auth),
            (CONTENT_TYPE, content_type),
        ];
        Ok((url, headers.into_iter().collect()))
    }

    /// Returns the DSN and renews it if necessary. If that fails, the old one is used until it expires.
    async fn current_dsn(&mut self) -> Result<&ParsedDsn, BoxError> {
        let now = self.clock.now();
        let is_valid_at = |time| self.dsn.as_ref().is_some_and(|dsn| dsn.is_valid_at(time));
        let is_valid = is_valid_at(now);
        if let Some(source) = &self.source
            && !is_valid_at(now + RENEW_BEFORE_EXPIRY)
        {
            match source.dsn(self.config.project.as_deref()).await {
                Ok(Dsn { dsn, expires }) => self.dsn = Some(ParsedDsn::parse(&dsn, expires)?),
                Err(_) if is_valid => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.dsn.as_ref().ok_or(StartPushError::NoDsn)?)
    }
}
