//! Reports errors to Sentry.

mod dsn;
mod envelope;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use runtime_core::clock::Clock;
use runtime_core::{BoxError, Secret};
use runtime_http::reqwest::Url;
use runtime_http::reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tracing::warn;

pub use self::dsn::{Dsn, DsnSource};
use self::dsn::{FixedDsn, Target};
use self::envelope::envelope;
use crate::incidents::{Delivery, Incident, IncidentQueue, IncidentTransport};
use crate::logging_monitor::TARGET;
use crate::push::{Http, Posted, PushError, USER_AGENT};

/// A DSN is asked for anew when it has no more than this left.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// Where to report errors to, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SentryConfig {
    /// The DSN. Without one, it comes from [a source](DsnSource), such as Taskcluster's auth service.
    pub dsn: Option<Secret>,

    /// The name of the project, which a source of DSNs may want.
    pub project: Option<String>,

    /// Where this runs, such as `production`.
    pub environment: Option<String>,

    /// The version of the program.
    pub release: Option<String>,

    /// The name of the machine.
    pub server_name: Option<String>,

    /// How many errors wait at most; then they are dropped and counted.
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

/// Starts to report to Sentry: the [`IncidentQueue`] has the queue, and its reporter is what to tell of incidents.
///
/// The id of an event at Sentry is the id of the incident, without the hyphens. `source` is asked for a DSN
/// at the first incident, if the configuration has none, and again before that one expires.
///
/// # Errors
///
/// [`PushError::NoDsn`] if there is no DSN and no source, [`PushError::Address`] if the DSN is malformed.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn report_to_sentry(
    config: &SentryConfig,
    source: Option<Arc<dyn DsnSource>>,
    clock: Arc<dyn Clock>,
) -> Result<IncidentQueue, PushError> {
    let source = match (&config.dsn, source) {
        (Some(dsn), _) => {
            Target::parse(dsn.expose(), None)?;
            Arc::new(FixedDsn(dsn.clone()))
        }
        (None, Some(source)) => source,
        (None, None) => return Err(PushError::NoDsn),
    };
    let sentry = Sentry {
        http: Http::new()?,
        source,
        clock,
        config: config.clone(),
        target: None,
        has_complained: false,
    };
    Ok(IncidentQueue::start(config.queue, sentry))
}

struct Sentry {
    http: Http,
    source: Arc<dyn DsnSource>,
    clock: Arc<dyn Clock>,
    config: SentryConfig,
    target: Option<Target>,
    /// Whether the log tells already that errors cannot be reported.
    has_complained: bool,
}

#[async_trait]
impl IncidentTransport for Sentry {
    async fn deliver(&mut self, incident: &Incident) -> Delivery {
        let (url, headers) = match self.destination().await {
            Ok(destination) => destination,
            Err(error) => {
                self.report_refused(format_args!("there is no DSN: {error}"));
                return Delivery::RetryAfter(Duration::ZERO);
            }
        };
        let body = envelope(incident, &self.config);
        match self.http.post(&url, headers, body).await {
            Posted::Taken => {
                self.has_complained = false;
                Delivery::Delivered
            }
            Posted::Later(wait) => {
                self.report_refused(format_args!(
                    "it cannot be reached, or takes no more for now"
                ));
                Delivery::RetryAfter(wait)
            }
            Posted::Forbidden => {
                self.report_refused(format_args!("it does not accept the DSN"));
                // A source may have a new one by now.
                self.target = None;
                Delivery::RetryAfter(Duration::ZERO)
            }
            Posted::Refused(status) => {
                self.report_refused(format_args!("it refuses a report with status {status}"));
                Delivery::Refused
            }
        }
    }
}

impl Sentry {
    async fn destination(&mut self) -> Result<(Url, HeaderMap), BoxError> {
        let fresh = self.clock.now() + MARGIN;
        let is_fresh = |target: &Target| target.expires.is_none_or(|expires| expires > fresh);
        if !self.target.as_ref().is_some_and(is_fresh) {
            self.renew().await?;
        }
        let target = self.target.as_ref().ok_or("no DSN was given")?;
        let mut auth = HeaderValue::try_from(target.dsn.to_auth(Some(USER_AGENT)).to_string())?;
        auth.set_sensitive(true);
        let envelope = HeaderValue::from_static("application/x-sentry-envelope");
        let headers = [
            (HeaderName::from_static("x-sentry-auth"), auth),
            (CONTENT_TYPE, envelope),
        ];
        let url = Url::parse(target.dsn.envelope_api_url().as_str())?;
        Ok((url, headers.into_iter().collect()))
    }

    /// Asks for a DSN. The old one is kept while it works and there is no other.
    async fn renew(&mut self) -> Result<(), BoxError> {
        let now = self.clock.now();
        match self.source.dsn(self.config.project.as_deref()).await {
            Ok(dsn) => self.target = Some(Target::parse(dsn.dsn.expose(), dsn.expires)?),
            Err(error) => {
                let works = |target: &Target| target.expires.is_none_or(|expires| expires > now);
                if !self.target.as_ref().is_some_and(works) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tells it once, until something can be reported again: a log line a try would say nothing new.
    fn report_refused(&mut self, what: fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(target: TARGET, "cannot report errors to Sentry: {what}");
        }
    }
}
