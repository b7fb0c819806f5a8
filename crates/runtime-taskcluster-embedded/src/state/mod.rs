//! The state of all services, which one lock protects.

pub(crate) mod artifact;
pub(crate) mod blobs;
mod claim;
pub(crate) mod clients;
mod declare;
mod groups;
pub(crate) mod index;
mod lifecycle;
pub(crate) mod objects;
pub(crate) mod pending;
pub(crate) mod pools;
mod resolve;
pub(crate) mod secrets;
pub(crate) mod task;
mod timers;
pub(crate) mod workers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use self::claim::{ClaimRequest, ClaimedRun};
pub(crate) use self::resolve::Resolution;

use self::blobs::BlobStore;
use self::clients::Clients;
use self::groups::Group;
use self::index::TaskIndex;
use self::objects::Objects;
use self::pending::PendingQueue;
use self::pools::WorkerPools;
use self::secrets::StoredSecret;
use self::task::Task;
use self::timers::Timers;
use self::workers::Workers;
use crate::error::RequestError;

/// The state of all services.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tasks: HashMap<Arc<str>, Task>,
    /// By task queue id.
    pub(crate) queues: HashMap<String, PendingQueue>,
    /// By task group id.
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) workers: Workers,
    timers: Timers,
    pub(crate) index: TaskIndex,
    pub(crate) objects: Objects,
    /// The time of the last purge request by worker pool and cache name.
    pub(crate) purges: BTreeMap<(String, String), Timestamp>,
    /// By name.
    pub(crate) secrets: BTreeMap<String, StoredSecret>,
    pub(crate) pools: WorkerPools,
    pub(crate) clients: Clients,
    pub(crate) blobs: BlobStore,
    /// The delay between the expiry of a claim or deadline and its effect.
    resolver_delay: Duration,
    /// The number of runs that became pending so far; it orders runs of the same priority.
    pending_count: u64,
}

impl State {
    pub(crate) fn new(clients: Clients, resolver_delay: Duration) -> Self {
        Self {
            tasks: HashMap::new(),
            queues: HashMap::new(),
            groups: BTreeMap::new(),
            workers: Workers::default(),
            timers: Timers::default(),
            index: TaskIndex::default(),
            objects: Objects::default(),
            purges: BTreeMap::new(),
            secrets: BTreeMap::new(),
            pools: WorkerPools::default(),
            clients,
            blobs: BlobStore::default(),
            resolver_delay,
            pending_count: 0,
        }
    }

    /// Returns a task, or the error that most methods answer for an unknown one.
    pub(crate) fn task(&self, task_id: &str) -> Result<&Task, RequestError> {
        self.tasks.get(task_id).ok_or_else(|| unknown_task(task_id))
    }

    fn task_mut(&mut self, task_id: &str) -> Result<&mut Task, RequestError> {
        let task = self.tasks.get_mut(task_id);
        task.ok_or_else(|| unknown_task(task_id))
    }

    /// Returns a queue, which is created on first use.
    pub(crate) fn queue(&mut self, task_queue_id: &str) -> &mut PendingQueue {
        // `entry` needs an owned key: allocate it only for a new queue.
        if !self.queues.contains_key(task_queue_id) {
            self.queues
                .insert(task_queue_id.to_owned(), PendingQueue::default());
        }
        self.queues
            .get_mut(task_queue_id)
            .expect("the queue was inserted above")
    }

    /// Returns the due time of the next timer.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.next()
    }
}

fn unknown_task(task_id: &str) -> RequestError {
    RequestError::not_found(format!(
        "Task `{task_id}` not found. Are you sure it was created?"
    ))
}
