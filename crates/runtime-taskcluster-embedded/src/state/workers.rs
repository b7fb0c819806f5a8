//! The workers that the queue has seen.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

/// How many tasks of a worker are remembered.
const RECENT: usize = 20;

/// A worker that has claimed, or was put in quarantine.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) first_claim: Timestamp,
    pub(crate) last_active: Timestamp,
    pub(crate) quarantine_until: Option<Timestamp>,
    /// Task and run, the oldest first.
    pub(crate) recent: VecDeque<(String, u32)>,
}

/// A worker group and a worker id.
pub(crate) type WorkerName = (String, String);

/// The workers by task queue and name.
#[derive(Debug, Default)]
pub(crate) struct Workers(BTreeMap<String, BTreeMap<WorkerName, Worker>>);

impl Workers {
    /// The worker, noted on its first call.
    pub(crate) fn seen(
        &mut self,
        queue: &str,
        (group, id): (&str, &str),
        now: Timestamp,
    ) -> &mut Worker {
        let workers = self.0.entry(queue.to_owned()).or_default();
        let worker = workers
            .entry((group.to_owned(), id.to_owned()))
            .or_insert_with(|| Worker {
                first_claim: now,
                last_active: now,
                quarantine_until: None,
                recent: VecDeque::new(),
            });
        worker.last_active = now;
        worker
    }

    pub(crate) fn get(&self, queue: &str, group: &str, id: &str) -> Option<&Worker> {
        self.0.get(queue)?.get(&(group.to_owned(), id.to_owned()))
    }

    /// All workers by queue and name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &WorkerName, &Worker)> {
        let queues = self.0.iter();
        queues.flat_map(|(queue, workers)| {
            let workers = workers.iter();
            workers.map(move |(name, worker)| (queue.as_str(), name, worker))
        })
    }

    /// The workers of a queue by name.
    pub(crate) fn of_queue(&self, queue: &str) -> impl Iterator<Item = (&WorkerName, &Worker)> {
        self.0.get(queue).into_iter().flatten()
    }
}

impl Worker {
    pub(crate) fn is_quarantined(&self, now: Timestamp) -> bool {
        self.quarantine_until.is_some_and(|until| until > now)
    }

    /// Notes a run that the worker has claimed.
    pub(crate) fn claimed(&mut self, task_id: &str, run_id: u32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((task_id.to_owned(), run_id));
    }
}
