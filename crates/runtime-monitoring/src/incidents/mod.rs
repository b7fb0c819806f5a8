//! Incidents, and who hears of them beside the log.

mod forward;
pub(crate) mod queue;
mod recent;
mod worker_error;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;
use runtime_core::monitor::{IncidentId, MonitorTags, Report, Severity};
use runtime_ioext::log::Redactor;
use serde::Serialize;

pub use self::forward::{Delivery, IncidentQueue, IncidentTransport};
pub use self::queue::Forwarded;
pub use self::recent::RecentIncidents;
use crate::fields::{redacted, tags};

/// How many bytes of one text are kept, so that a queue of incidents has a bound in memory.
const MAX_TEXT: usize = 4 * 1024;

/// How many causes of an error are kept.
const MAX_CAUSES: usize = 16;

/// Something that went wrong, as it is told to others: the secrets are taken out, and long texts are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incident {
    /// Its name, the same in the task's log, in the worker's log and in every report.
    pub id: IncidentId,
    /// When it was reported.
    pub at: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// What was being done.
    pub context: String,
    /// The error and its causes, the outermost first.
    pub errors: Vec<Cause>,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
}

/// One error of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cause {
    /// The name of its type, as far as its `Debug` tells.
    pub kind: String,
    /// What it says.
    pub message: String,
}

impl Incident {
    pub(crate) fn new(
        scope: &MonitorTags,
        common: &[(String, String)],
        report: &Report<'_>,
        redactor: Option<&Redactor>,
    ) -> Self {
        let clean = |text: &str| cut(&redacted(redactor, text));
        let mut errors = Vec::new();
        let mut error = Some(report.error);
        while let Some(cause) = error.filter(|_| errors.len() < MAX_CAUSES) {
            errors.push(Cause {
                kind: kind(cause),
                message: clean(&cause.to_string()),
            });
            error = cause.source();
        }
        Self {
            id: report.incident,
            at: Timestamp::now(),
            severity: report.severity,
            context: clean(&report.context.to_string()),
            errors,
            prefix: scope.prefix().to_owned(),
            tags: tags(scope, common)
                .map(|(name, value)| (name.to_owned(), clean(value)))
                .collect(),
        }
    }
}

/// What was being done, and in a line after it, what went wrong.
impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.errors
            .iter()
            .try_for_each(|cause| write!(f, ": {}", cause.message))
    }
}

/// The name at the start of what `Debug` writes. The rest of it could hold anything, secrets included.
fn kind(error: &(dyn Error + 'static)) -> String {
    let debug = format!("{error:?}");
    let name = debug.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let name = name.map(|name| name.trim_end_matches(':')).next();
    let name = name.filter(|name| name.starts_with(char::is_alphabetic) && name.len() <= 80);
    name.unwrap_or("Error").to_owned()
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{} [cut]", &text[..text.floor_char_boundary(MAX_TEXT)])
}

/// Hears of incidents.
pub trait Reporter: Send + Sync {
    /// Hears of one. It is called from any thread and must not block.
    fn report(&self, incident: &Arc<Incident>);
}

/// Those who hear of incidents beside the log. Clones are the same list.
#[derive(Clone, Default)]
pub struct Reporters(Arc<RwLock<Vec<Arc<dyn Reporter>>>>);

impl Reporters {
    /// Adds one, which hears of all incidents from now on.
    pub fn add(&self, reporter: Arc<dyn Reporter>) {
        self.0.write().push(reporter);
    }

    pub(crate) fn tell(&self, incident: impl FnOnce() -> Incident) {
        // Called outside the lock, since a reporter is code of others.
        let reporters = self.0.read().clone();
        if reporters.is_empty() {
            return;
        }
        let incident = Arc::new(incident());
        reporters
            .iter()
            .for_each(|reporter| reporter.report(&incident));
    }
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporters")
            .field("count", &self.0.read().len())
            .finish()
    }
}
