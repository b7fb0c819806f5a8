//! The tasks that wait for a worker, by task queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::definition::Priority;

/// The place of a run in its queue: urgent first, then in order of arrival.
pub(crate) type PendingKey = (Priority, u64);

/// The pending runs of one task queue.
#[derive(Debug, Default)]
pub(crate) struct PendingQueue {
    runs: BTreeMap<PendingKey, (Arc<str>, u32)>,
    /// Tells one waiting worker of each run that becomes pending.
    pub(crate) arrived: Arc<Notify>,
    pub(crate) claimed: usize,
}

impl PendingQueue {
    pub(crate) fn push(&mut self, key: PendingKey, task_id: Arc<str>, run_id: u32) {
        self.runs.insert(key, (task_id, run_id));
        self.arrived.notify_one();
    }

    pub(crate) fn remove(&mut self, key: &PendingKey) {
        self.runs.remove(key);
    }

    /// Moves a run to another place.
    pub(crate) fn replace(
        &mut self,
        from: Option<PendingKey>,
        to: PendingKey,
        run: (Arc<str>, u32),
    ) {
        if let Some(from) = from {
            self.runs.remove(&from);
        }
        self.runs.insert(to, run);
    }

    pub(crate) fn pop(&mut self) -> Option<(Arc<str>, u32)> {
        self.runs.pop_first().map(|(_, run)| run)
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The pending runs, the next first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Arc<str>, u32)> {
        self.runs.values()
    }
}
