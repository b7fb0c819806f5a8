//! Converts incidents to Sentry envelopes: a header line, an item header line and the event as JSON.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use runtime_core::monitor::Severity;
use sentry_core::Envelope;
use sentry_core::protocol::{Event, Exception, Level};
use sentry_core::types::Uuid;

use super::SentryConfig;
use crate::incidents::{Cause, Incident};

/// Sentry discards tags with longer values, so they are truncated instead.
const MAX_TAG_BYTES: usize = 200;

/// Returns the body of a request.
pub(super) fn envelope(incident: &Incident, config: &SentryConfig) -> Vec<u8> {
    let mut body = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = Envelope::from(event(incident, config)).to_writer(&mut body);
    body
}

fn event(incident: &Incident, config: &SentryConfig) -> Event<'static> {
    let owned = |text: &Option<String>| text.clone().map(Into::into);
    let mut event = Event {
        // Sentry deduplicates events by this id: a retry after a lost response does not create a second event.
        event_id: Uuid::from_bytes(*incident.id.as_bytes()),
        level: match incident.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        message: Some(incident.context.clone()),
        logger: Some("worker".to_owned()),
        culprit: (!incident.prefix.is_empty()).then(|| incident.prefix.clone()),
        timestamp: system_time(incident.at),
        environment: owned(&config.environment),
        release: owned(&config.release),
        server_name: owned(&config.server_name),
        platform: "native".into(),
        ..Event::default()
    };
    // Sentry expects the innermost cause first.
    let exceptions = incident.errors.iter().rev().map(exception);
    event.exception = exceptions.collect::<Vec<_>>().into();
    let tags = incident.tags.iter();
    event.tags.extend(tags.map(|(name, value)| {
        let end = value.floor_char_boundary(MAX_TAG_BYTES);
        (name.clone(), value[..end].to_owned())
    }));
    // Sentry displays ids without hyphens. With this tag, a search for the id from the log finds the event.
    event
        .tags
        .insert("incident".to_owned(), incident.id.to_string());
    event
}

fn exception(cause: &Cause) -> Exception {
    Exception {
        ty: cause.kind.clone(),
        value: Some(cause.message.clone()),
        ..Exception::default()
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    let since_epoch = at.duration_since(Timestamp::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::try_from(since_epoch).unwrap_or_default()
}
