//! The most recent incidents, for the status page.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::incident::Incident;
use super::reporters::Reporter;

const CAPACITY: usize = 50;

/// A reporter that keeps the 50 most recent incidents. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct RecentIncidents(Arc<Mutex<VecDeque<Arc<Incident>>>>);

impl RecentIncidents {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the incidents, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Incident>> {
        self.0.lock().iter().rev().cloned().collect()
    }
}

impl Reporter for RecentIncidents {
    fn report(&self, incident: &Arc<Incident>) {
        let mut recent = self.0.lock();
        if recent.len() == CAPACITY {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(incident));
    }
}
