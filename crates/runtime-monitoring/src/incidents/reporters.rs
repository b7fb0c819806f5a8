//! The receivers of incidents.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::incident::Incident;

/// Receives incidents.
pub trait Reporter: Send + Sync {
    /// Receives an incident. Called from any thread; must not block.
    fn report(&self, incident: &Arc<Incident>);
}

/// The list of reporters that receive each incident in addition to the log. Clones share the list.
#[derive(Clone, Default)]
pub struct Reporters(Arc<RwLock<Vec<Arc<dyn Reporter>>>>);

impl Reporters {
    /// Adds a reporter, which receives all later incidents.
    pub fn add(&self, reporter: Arc<dyn Reporter>) {
        self.0.write().push(reporter);
    }

    pub(crate) fn notify(&self, incident: impl FnOnce() -> Incident) {
        // Copied, so that foreign code does not run under the lock: a reporter may report an incident itself or add another
        // reporter.
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
