//! An incident as Sentry takes it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use runtime_core::monitor::Severity;
use sentry_core::Envelope;
use sentry_core::protocol::{Event, Exception, Level};
use sentry_core::types::Uuid;

use super::SentryConfig;
use crate::incidents::Incident;

/// Sentry throws away longer values of tags.
const MAX_TAG: usize = 200;

/// When it was reported.
fn time(incident: &Incident) -> SystemTime {
    let since = incident.at.duration_since(Timestamp::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::try_from(since).unwrap_or_default()
}

/// The body of a request.
pub(super) fn envelope(incident: &Incident, config: &SentryConfig) -> Vec<u8> {
    let mut body = Vec::new();
    // Writing to memory does not fail.
    let _ = Envelope::from(event(incident, config)).to_writer(&mut body);
    body
}

fn event(incident: &Incident, config: &SentryConfig) -> Event<'static> {
    let owned = |text: &Option<String>| text.clone().map(Into::into);
    let mut event = Event {
        event_id: Uuid::from_bytes(*incident.id.as_bytes()),
        level: match incident.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        message: Some(incident.context.clone()),
        logger: Some("worker".to_owned()),
        culprit: (!incident.prefix.is_empty()).then(|| incident.prefix.clone()),
        timestamp: time(incident),
        environment: owned(&config.environment),
        release: owned(&config.release),
        server_name: owned(&config.server_name),
        platform: "native".into(),
        ..Event::default()
    };
    // The innermost comes first there.
    let causes = incident.errors.iter().rev();
    let exceptions: Vec<Exception> = causes
        .map(|cause| Exception {
            ty: cause.kind.clone(),
            value: Some(cause.message.clone()),
            ..Exception::default()
        })
        .collect();
    event.exception = exceptions.into();
    let tags = incident.tags.iter();
    event.tags.extend(tags.map(|(name, value)| {
        let end = value.floor_char_boundary(MAX_TAG);
        (name.clone(), value[..end].to_owned())
    }));
    let incident_tag = ("incident".to_owned(), incident.id.to_string());
    event.tags.extend([incident_tag]);
    event
}
