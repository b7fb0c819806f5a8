//! The worker-runner protocol: messages on the worker's standard output, one `~{json}` per line.

use std::io::Write as _;

use jiff::Timestamp;

use super::event::{EventMeta, RenderedEvent};
use super::json::write_string;
use crate::incidents::Incident;

/// Writes a message of type `log`.
pub(super) fn write_line(
    out: &mut Vec<u8>,
    now: Timestamp,
    meta: EventMeta<'_>,
    event: &RenderedEvent,
) {
    let (_, name) = meta.severity();
    // Writing to a `Vec` cannot fail.
    let _ = write!(
        out,
        r#"~{{"type":"log","body":{{"timestamp":"{now}","severity":"{name}","textPayload":"#
    );
    match &*event.prefix {
        "" => write_string(out, &event.message),
        prefix => write_string(out, &format!("{prefix}: {}", event.message)),
    }
    if !event.fields.is_empty() {
        let _ = write!(out, r#","fields":{{{}}}"#, event.fields);
    }
    out.extend_from_slice(b"}}\n");
}

/// Returns the message `error-report` of an incident as a line. Worker-runner forwards it to `reportWorkerError`.
///
/// Error reports are public. An [`Incident`] contains no secrets known to its redactor.
#[must_use]
pub fn error_report(incident: &Incident) -> String {
    let message = serde_json::json!({
        "type": "error-report",
        "kind": Incident::KIND,
        "title": incident.title(),
        "description": incident.description(),
        "extra": incident.extra(),
    });
    format!("~{message}\n")
}
