//! Scheduled events of Azure.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::fmt::rfc2822::DateTimeParser;
use runtime_core::clock::duration_until;
use runtime_core::{ShutdownNotice, Timestamp};
use serde::Deserialize;

use super::metadata_source::{CloudShutdown, MetadataShutdownSource};
use crate::metadata_service::MetadataService;

const EVENTS_PATH: &str = "/metadata/scheduledevents?api-version=2020-07-01";

/// The first request starts the service for this machine, which may take two minutes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(150);

/// The longest notice period of an event: that of a reboot or redeployment.
const MAX_NOTICE_PERIOD: Duration = Duration::from_secs(15 * 60);

/// The assumed remaining time of an event that has begun. Azure promises none, but in practice there are some seconds.
const STARTED_EVENT_PERIOD: Duration = Duration::from_secs(15);

/// Reports that Azure evicts, reboots, redeploys or terminates the machine.
///
/// A freeze, which lasts some seconds, is ignored. By default, every other event counts.
pub type AzureEvents = MetadataShutdownSource<Azure>;

/// The metadata service of Azure.
#[derive(Debug, Default)]
pub struct Azure {
    /// The name of this machine. With `None`, the events of all machines count.
    machine: Option<String>,
}

impl AzureEvents {
    /// Ignores events of other machines. All machines of a scale set or availability set receive the events of each.
    #[must_use]
    pub fn machine(mut self, name: impl Into<String>) -> Self {
        self.cloud.machine = Some(name.into());
        self
    }
}

#[async_trait]
impl CloudShutdown for Azure {
    const NAME: &'static str = "azure-events";
    const ENDPOINT: &'static str = "http://169.254.169.254";
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn poll(&mut self, service: &MetadataService) -> Option<ShutdownNotice> {
        // The service refuses requests without this header.
        let metadata = HeaderName::from_static("metadata");
        let headers = HeaderMap::from_iter([(metadata, HeaderValue::from_static("true"))]);
        let (_, text) = service
            .request(Method::GET, EVENTS_PATH, headers, REQUEST_TIMEOUT)
            .await
            .filter(|(status, _)| status.is_success())?;
        let document: Document = serde_json::from_str(&text)
            .inspect_err(|error| tracing::debug!(%error, "cannot parse scheduled events"))
            .ok()?;
        let mut events = document.events.iter();
        events
            .find(|event| self.is_relevant(event))
            .map(Event::notice)
    }
}

impl Azure {
    fn is_relevant(&self, event: &Event) -> bool {
        let is_affected = |machine: &String| event.resources.contains(machine);
        event.event_type != "Freeze"
            && event.event_status != "Completed"
            && self.machine.as_ref().is_none_or(is_affected)
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
    /// A time such as `Mon, 19 Sep 2016 18:29:47 GMT`; empty once the event has begun.
    #[serde(default)]
    not_before: String,
}

impl Event {
    fn notice(&self) -> ShutdownNotice {
        let reason = format!("Azure announced an event of type {}", self.event_type);
        let time = DateTimeParser::new().parse_timestamp(&self.not_before).ok();
        let remaining = time.and_then(|time| duration_until(Timestamp::now(), time));
        // The local clock may be ahead or behind: a time that has passed is that of an event that has begun.
        let budget = remaining.map_or(STARTED_EVENT_PERIOD, |it| it.min(MAX_NOTICE_PERIOD));
        ShutdownNotice::now(reason).within(budget)
    }
}
