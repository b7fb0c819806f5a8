//! The pending runs of a task queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::definition::Priority;

/// The position of a run in its queue: by priority, then first in, first out.
pub(crate) type PendingKey = (Priority, u64);

/// A task id and a run id.
type TaskRun = (Arc<str>, u32);

/// The pending runs of one task queue.
#[derive(Debug, Default)]
pub(crate) struct PendingQueue {
    runs: BTreeMap<PendingKey, TaskRun>,
    /// Wakes one polling worker for each run that becomes pending.
    ///
    /// Only one is woken: otherwise each new task would wake many idle workers without need.
    pub(crate) run_added: Arc<Notify>,
    /// The number of running runs.
    pub(crate) claimed: usize,
}

impl PendingQueue {
    pub(crate) fn push(&mut self, key: PendingKey, task_id: Arc<str>, run_id: u32) {
        self.runs.insert(key, (task_id, run_id));
        // Without a waiting worker the permit is stored, and the next poll checks the queue twice.
        self.run_added.notify_one();
    }

    pub(crate) fn remove(&mut self, key: &PendingKey) -> Option<TaskRun> {
        self.runs.remove(key)
    }

    /// Moves a run to another position. It wakes no worker: the run was pending before.
    pub(crate) fn reposition(&mut self, from: PendingKey, to: PendingKey) {
        if let Some(run) = self.runs.remove(&from) {
            self.runs.insert(to, run);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<TaskRun> {
        self.runs.pop_first().map(|(_, run)| run)
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Returns the pending runs in the order in which workers get them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskRun> {
        self.runs.values()
    }
}
