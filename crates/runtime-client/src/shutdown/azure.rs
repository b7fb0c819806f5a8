//! Scheduled events of Azure.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use jiff::fmt::rfc2822;
use runtime_core::clock::until;
use runtime_core::{ShutdownNotice, ShutdownSource, Timestamp};
use serde::Deserialize;

use super::metadata::Metadata;
use super::polled::{Oracle, Polled};
use crate::ClientError;

const EVENTS: &str = "/metadata/scheduledevents?api-version=2020-07-01";

/// The first request makes Azure start the service for this machine, which may take two minutes.
const TIMEOUT: Duration = Duration::from_secs(150);

/// Hears that Azure evicts, reboots, redeploys or terminates the machine.
///
/// A freeze of some seconds, as for a migration, is no reason to go.
#[derive(Debug)]
pub struct AzureEvents {
    polled: Polled<Machine>,
}

#[derive(Debug)]
struct Machine {
    metadata: Metadata,
    /// Which events count; all of them if it has no name.
    name: Option<String>,
}

impl AzureEvents {
    /// Asks the metadata service of this machine every second, as Azure recommends.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if there can be no HTTP client.
    pub fn new() -> Result<Self, ClientError> {
        let machine = Machine {
            metadata: Metadata::new("http://169.254.169.254")?,
            name: None,
        };
        Ok(Self {
            polled: Polled::new(machine, Duration::from_secs(1)),
        })
    }

    /// Asks elsewhere.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.polled.oracle.metadata.set_endpoint(endpoint);
        self
    }

    /// Asks more or less often.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.polled.interval = interval;
        self
    }

    /// Leaves out events that do not name this machine: those of a scale set or an availability set
    /// are told to all of its machines. By default every event counts.
    #[must_use]
    pub fn machine(mut self, name: impl Into<String>) -> Self {
        self.polled.oracle.name = Some(name.into());
        self
    }
}

#[async_trait]
impl Oracle for Machine {
    async fn ask(&mut self) -> Option<ShutdownNotice> {
        let mut headers = HeaderMap::new();
        headers.insert("metadata", HeaderValue::from_static("true"));
        let asked = self
            .metadata
            .ask(Method::GET, EVENTS, headers, TIMEOUT)
            .await;
        let (_, text) = asked.filter(|(status, _)| status.is_success())?;
        let document: Document = serde_json::from_str(&text)
            .inspect_err(|error| tracing::debug!(%error, "scheduled events that cannot be read"))
            .ok()?;
        let mut events = document.events.iter();
        events
            .find(|event| self.concerns_us(event))
            .map(Event::notice)
    }
}

impl Machine {
    fn concerns_us(&self, event: &Event) -> bool {
        let named = |own: &String| event.resources.iter().any(|name| name == own);
        event.event_type != "Freeze"
            && event.event_status != "Completed"
            && self.name.as_ref().is_none_or(named)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    event_type: String,
    #[serde(default)]
    event_status: String,
    #[serde(default)]
    resources: Vec<String>,
    /// Such as `Mon, 19 Sep 2016 18:29:47 GMT`; empty once the event has begun.
    #[serde(default)]
    not_before: String,
}

impl Event {
    fn notice(&self) -> ShutdownNotice {
        let reason = format!("Azure announces for the machine: {}", self.event_type);
        let at = rfc2822::DateTimeParser::new().parse_timestamp(&self.not_before);
        let left = at.map(|at| until(Timestamp::now(), at).unwrap_or_default());
        // What has begun leaves no time that anybody promises; there are mostly some seconds.
        let left = left.unwrap_or(Duration::from_secs(15));
        ShutdownNotice::now(reason).within(left)
    }
}

#[async_trait]
impl ShutdownSource for AzureEvents {
    fn name(&self) -> &'static str {
        "azure-events"
    }

    async fn next(&mut self) -> Option<ShutdownNotice> {
        self.polled.next().await
    }
}
