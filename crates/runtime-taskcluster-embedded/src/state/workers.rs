//! The workers that have called the queue.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::table::Table;

/// The number of recent tasks that are recorded for a worker.
const MAX_RECENT_TASKS: usize = 20;

/// A worker that has claimed tasks or was quarantined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct QueueWorker {
    pub(crate) first_claim: Timestamp,
    pub(crate) last_active: Timestamp,
    pub(crate) quarantine_until: Option<Timestamp>,
    /// Task ids and run ids, oldest first.
    pub(crate) recent_tasks: VecDeque<(String, u32)>,
}

/// A task queue, a worker group and a worker id.
pub(crate) type QueueWorkerKey = (String, String, String);

/// The workers of all task queues.
#[derive(Debug)]
pub(crate) struct Workers(pub(super) Table<QueueWorkerKey, QueueWorker>);

impl Workers {
    /// Records that a worker polls, and returns it.
    ///
    /// Only a new worker is stored: the times of the polls of an idle worker would let the journal grow.
    pub(crate) fn record_poll(
        &mut self,
        queue: &str,
        name: (&str, &str),
        now: Timestamp,
    ) -> &QueueWorker {
        let key = (queue.to_owned(), name.0.to_owned(), name.1.to_owned());
        if let Some(worker) = self.0.get_mut_unrecorded(&key) {
            worker.last_active = now;
        } else {
            self.record_activity(queue, name, now);
        }
        &self.0[&key]
    }

    /// Records that a worker is active, and returns it for a change that is stored.
    pub(crate) fn record_activity(
        &mut self,
        queue: &str,
        (group, id): (&str, &str),
        now: Timestamp,
    ) -> &mut QueueWorker {
        let key = (queue.to_owned(), group.to_owned(), id.to_owned());
        let worker = self.0.get_or_insert_with(key, || QueueWorker {
            first_claim: now,
            last_active: now,
            quarantine_until: None,
            recent_tasks: VecDeque::new(),
        });
        worker.last_active = now;
        worker
    }

    pub(crate) fn get(&self, queue: &str, group: &str, id: &str) -> Option<&QueueWorker> {
        let key = (queue.to_owned(), group.to_owned(), id.to_owned());
        self.0.get(&key)
    }

    /// Returns all workers with their keys.
    #[cfg(feature = "pages")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&QueueWorkerKey, &QueueWorker)> {
        self.0.iter()
    }

    /// Returns the workers of a task queue.
    pub(crate) fn of_queue(
        &self,
        queue: &str,
    ) -> impl Iterator<Item = (&QueueWorkerKey, &QueueWorker)> {
        let first = (queue.to_owned(), String::new(), String::new());
        let following = self.0.range(first..);
        following.take_while(move |(key, _)| key.0 == queue)
    }
}

impl QueueWorker {
    pub(crate) fn is_quarantined(&self, now: Timestamp) -> bool {
        self.quarantine_until.is_some_and(|until| until > now)
    }

    /// Records a claimed run.
    pub(crate) fn record_claim(&mut self, task_id: &str, run_id: u32) {
        if self.recent_tasks.len() == MAX_RECENT_TASKS {
            self.recent_tasks.pop_front();
        }
        self.recent_tasks.push_back((task_id.to_owned(), run_id));
    }
}
