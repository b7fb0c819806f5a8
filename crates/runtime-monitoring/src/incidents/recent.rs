//! The last incidents, to look at.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Incident, Reporter};

/// How many are kept.
const CAPACITY: usize = 50;

/// Keeps the last 50 incidents. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RecentIncidents(Arc<Mutex<VecDeque<Arc<Incident>>>>);

impl RecentIncidents {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The last incidents, the newest first.
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
