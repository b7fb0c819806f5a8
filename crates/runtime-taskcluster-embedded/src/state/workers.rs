//! The workers that have called the queue.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

/// The number of recent tasks that are recorded for a worker.
const MAX_RECENT_TASKS: usize = 20;

/// A worker that has claimed tasks or was quarantined.
#[derive(Clone, Debug)]
pub(crate) struct QueueWorker {
    pub(crate) first_claim: Timestamp,
    pub(crate) last_active: Timestamp,
    pub(crate) quarantine_until: Option<Timestamp>,
    /// Task ids and run ids, oldest first.
    pub(crate) recent_tasks: VecDeque<(String, u32)>,
}

/// A worker group and a worker id.
pub(crate) type WorkerName = (String, String);

/// The workers by task queue and name.
#[derive(Debug, Default)]
pub(crate) struct Workers(BTreeMap<String, BTreeMap<WorkerName, QueueWorker>>);

impl Workers {
    /// Records that a worker is active, and returns it.
    pub(crate) fn record_activity(
        &mut self,
        queue: &str,
        (group, id): (&str, &str),
        now: Timestamp,
    ) -> &mut QueueWorker {
        let workers = self.0.entry(queue.to_owned()).or_default();
        let worker = workers
            .entry((group.to_owned(), id.to_owned()))
            .or_insert_with(|| QueueWorker {
                first_claim: now,
                last_active: now,
                quarantine_until: None,
                recent_tasks: VecDeque::new(),
            });
        worker.last_active = now;
        worker
    }

    pub(crate) fn get(&self, queue: &str, group: &str, id: &str) -> Option<&QueueWorker> {
        self.0.get(queue)?.get(&(group.to_owned(), id.to_owned()))
    }

    /// Returns all workers with their task queue and name.
    #[cfg(feature = "pages")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &WorkerName, &QueueWorker)> {
        let queues = self.0.iter();
        queues.flat_map(|(queue, workers)| {
            let workers = workers.iter();
            workers.map(move |(name, worker)| (queue.as_str(), name, worker))
        })
    }

    /// Returns the workers of a task queue.
    pub(crate) fn of_queue(
        &self,
        queue: &str,
    ) -> impl Iterator<Item = (&WorkerName, &QueueWorker)> {
        self.0.get(queue).into_iter().flatten()
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
