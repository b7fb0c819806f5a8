//! An incident as data: redacted and bounded in size.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use jiff::Timestamp;
use runtime_core::monitor::{IncidentId, IncidentReport, MonitorTags, Severity};
use runtime_ioext::log::Redactor;
use serde::Serialize;

use crate::fields::{merged_tags, redacted};

/// The maximum bytes per text. Bounds the memory of a queue of incidents.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// The maximum number of causes. A chain of `source`s that refers to itself would not end.
const MAX_CAUSES: usize = 16;

/// The maximum bytes of a type name.
const MAX_KIND_BYTES: usize = 80;

/// A reported error with secrets redacted and long texts truncated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incident {
    /// The id, the same in the task log, the worker log and all reports.
    pub id: IncidentId,
    /// The time of the report.
    pub at: Timestamp,
    /// The severity.
    pub severity: Severity,
    /// The operation that failed.
    pub context: String,
    /// The error and its causes, outermost first.
    pub errors: Vec<Cause>,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor by name.
    pub tags: BTreeMap<String, String>,
}

/// An error in the chain of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cause {
    /// The name of the error's type or variant, derived from its `Debug` output.
    pub kind: String,
    /// The error message.
    pub message: String,
}

impl Incident {
    pub(crate) fn new(
        tags: &MonitorTags,
        common: &[(String, String)],
        report: &IncidentReport<'_>,
        redactor: Option<&Redactor>,
    ) -> Self {
        // Redacted before it is truncated: the redactor would not recognize half a secret.
        let clean = |text: &str| truncate(&redacted(redactor, text));
        let chain = std::iter::successors(Some(report.error), |&error| error.source());
        let cause = |error: &(dyn Error + 'static)| Cause {
            kind: kind(error),
            message: clean(&error.to_string()),
        };
        Self {
            id: report.incident,
            at: Timestamp::now(),
            severity: report.severity,
            context: clean(&report.context.to_string()),
            errors: chain.take(MAX_CAUSES).map(cause).collect(),
            prefix: tags.prefix().to_owned(),
            tags: merged_tags(tags, common)
                .map(|(name, value)| (name.to_owned(), clean(value)))
                .collect(),
        }
    }
}

/// Writes the context followed by the error and its causes, separated by colons.
impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.errors
            .iter()
            .try_for_each(|cause| write!(f, ": {}", cause.message))
    }
}

/// Returns the leading identifier of the `Debug` output.
///
/// `dyn Error` does not reveal its type, and Sentry groups reports by type. Derived `Debug` implementations start with the
/// name of the type or variant. The rest is dropped: it may contain secrets in a form that the redactor does not know.
fn kind(error: &(dyn Error + 'static)) -> String {
    let debug = format!("{error:?}");
    let mut names = debug.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let name = names.next().map(|name| name.trim_end_matches(':'));
    let is_name =
        |name: &&str| name.starts_with(char::is_alphabetic) && name.len() <= MAX_KIND_BYTES;
    name.filter(is_name).unwrap_or("Error").to_owned()
}

fn truncate(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    format!("{} [truncated]", &text[..end])
}
