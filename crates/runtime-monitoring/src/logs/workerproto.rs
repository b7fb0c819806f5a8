//! Lines for Taskcluster's worker-runner, which reads them from the worker's standard output.

use std::io::Write as _;

use jiff::Timestamp;

use super::json::{FieldsOnly, value};
use super::lines::Head;
use super::severity;
use super::visit::Parts;
use crate::incidents::Incident;

/// Writes a message of the type `log`.
pub(super) fn line(out: &mut Vec<u8>, now: Timestamp, head: Head<'_>, parts: &Parts) {
    let (_, name) = severity(head.level);
    // Writing to memory does not fail.
    let _ = write!(
        out,
        r#"~{{"type":"log","body":{{"timestamp":"{now}","severity":"{name}","textPayload":"#
    );
    match &*parts.prefix {
        "" => value(out, &parts.message),
        prefix => value(out, &format!("{prefix}: {}", parts.message)),
    }
    let _ = writeln!(out, "{}}}}}", FieldsOnly(&parts.fields));
}

/// The message `error-report` of an incident, as a line: worker-runner passes it to `reportWorkerError`.
///
/// Everybody can read what is reported so; an [`Incident`] holds no secrets that its redactor knew.
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
