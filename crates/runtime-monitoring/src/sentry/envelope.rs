//! Converts incidents to Sentry envelopes: a header line, an item header line and the event as JSON.

use runtime_core::monitor::Severity;
use serde_json::{Map, Value, json};

use super::SentryConfig;
use crate::incidents::{Cause, Incident};

/// Sentry discards tags with longer values, so they are truncated instead.
const MAX_TAG_BYTES: usize = 200;

/// Returns the body of a request.
pub(super) fn envelope(incident: &Incident, config: &SentryConfig) -> Vec<u8> {
    let event = event(incident, config).to_string();
    let header = json!({ "event_id": event_id(incident) });
    let item = json!({ "type": "event", "length": event.len() });
    format!("{header}\n{item}\n{event}\n").into_bytes()
}

fn event(incident: &Incident, config: &SentryConfig) -> Value {
    // Sentry expects the innermost cause first.
    let exceptions: Vec<_> = incident.errors.iter().rev().map(exception).collect();
    let mut tags: Map<_, _> = incident.tags.iter().map(tag).collect();
    // Sentry displays ids without hyphens. With this tag, a search for the id from the log finds the event.
    tags.insert("incident".to_owned(), incident.id.to_string().into());
    let culprit = Some(&incident.prefix).filter(|prefix| !prefix.is_empty());
    json!({
        // Sentry deduplicates events by this id: a retry after a lost response does not create a second event.
        "event_id": event_id(incident),
        "level": match incident.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": incident.context,
        "logger": "worker",
        "culprit": culprit,
        // Seconds since the epoch.
        "timestamp": incident.at.as_microsecond() as f64 / 1e6,
        "environment": config.environment,
        "release": config.release,
        "server_name": config.server_name,
        "platform": "native",
        "exception": { "values": exceptions },
        "tags": tags,
    })
}

fn event_id(incident: &Incident) -> String {
    incident.id.to_string().replace('-', "")
}

fn exception(cause: &Cause) -> Value {
    json!({ "type": cause.kind, "value": cause.message })
}

fn tag((name, value): (&String, &String)) -> (String, Value) {
    let end = value.floor_char_boundary(MAX_TAG_BYTES);
    (name.clone(), value[..end].into())
}
