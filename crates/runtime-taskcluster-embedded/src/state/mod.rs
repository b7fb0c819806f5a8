//! The state of all services, protected by one lock.

pub(crate) mod artifact;
mod artifacts;
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
mod restore;
mod roles;
pub(crate) mod secret_text;
pub(crate) mod secrets;
mod table;
pub(crate) mod task;
pub(crate) mod tasks;
mod timers;
pub(crate) mod workers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use self::claim::{ClaimRequest, ClaimedRun};
pub(crate) use self::resolve::Resolution;

use self::artifacts::Artifacts;
use self::blobs::BlobStore;
use self::clients::Clients;
use self::groups::Group;
use self::index::TaskIndex;
use self::objects::Objects;
use self::pending::PendingQueue;
use self::pools::WorkerPools;
use self::secret_text::SecretText;
use self::secrets::StoredSecret;
use self::table::Table;
use self::task::Task;
use self::tasks::{TaskRef, Tasks};
use self::timers::Timers;
use self::workers::Workers;
use crate::error::RequestError;
use crate::journal::Journal;
use crate::slugid::token;

/// The state of all services.
///
/// Tables are stored in the journal. The other fields are derived from the tasks, or are rebuilt when workers call.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tasks: Tasks,
    pub(crate) artifacts: Artifacts,
    /// By task queue id.
    pub(crate) queues: HashMap<String, PendingQueue>,
    /// By task group id.
    pub(crate) groups: HashMap<Arc<str>, Group>,
    /// The time since which a group accepts no tasks, by task group id.
    pub(crate) sealed_groups: Table<String, Timestamp>,
    /// The tasks that depend on a task.
    pub(crate) dependents: HashMap<Arc<str>, Vec<Arc<str>>>,
    pub(crate) workers: Workers,
    timers: Timers,
    pub(crate) index: TaskIndex,
    pub(crate) objects: Objects,
    /// The time of the last purge request by worker pool and cache name.
    pub(crate) purges: Table<(String, String), Timestamp>,
    /// By name.
    pub(crate) secrets: Table<String, StoredSecret>,
    pub(crate) pools: WorkerPools,
    pub(crate) clients: Clients,
    /// The keys of the server by name.
    pub(crate) keys: Table<String, SecretText>,
    pub(crate) blobs: BlobStore,
    /// The delay between the expiry of a claim or deadline and its effect.
    resolver_delay: Duration,
    /// The number of runs that became pending so far; it orders runs of the same priority.
    pending_count: u64,
    /// The number of tasks that were created so far.
    task_count: u64,
    journal: Option<Journal>,
}

impl State {
    /// Creates the state of a server that has no journal.
    pub(crate) fn new(resolver_delay: Duration, now: Timestamp) -> Self {
        let mut state = Self::empty(resolver_delay);
        state.clients.add_initial(now);
        state
    }

    fn empty(resolver_delay: Duration) -> Self {
        Self {
            tasks: Tasks::default(),
            artifacts: Artifacts(Table::new("artifact")),
            queues: HashMap::new(),
            groups: HashMap::new(),
            sealed_groups: Table::new("sealed-group"),
            dependents: HashMap::new(),
            workers: Workers(Table::new("queue-worker")),
            timers: Timers::default(),
            index: TaskIndex(Table::new("index")),
            objects: Objects(Table::new("object")),
            purges: Table::new("purge"),
            secrets: Table::new("secret"),
            pools: WorkerPools {
                by_id: Table::new("worker-pool"),
                workers: Table::new("worker"),
            },
            clients: Clients::new(),
            keys: Table::new("key"),
            blobs: BlobStore(Table::new("blob")),
            resolver_delay,
            pending_count: 0,
            task_count: 0,
            journal: None,
        }
    }

    /// Returns a task, or the error of most methods for an unknown task.
    pub(crate) fn task(&self, task_id: &str) -> Result<TaskRef<'_>, RequestError> {
        self.tasks
            .get(task_id)?
            .ok_or_else(|| unknown_task(task_id))
    }

    fn task_mut(&mut self, task_id: &str) -> Result<&mut Task, RequestError> {
        let task = self.tasks.get_mut(task_id)?;
        task.ok_or_else(|| unknown_task(task_id))
    }

    /// Returns a key of the server, which is created on first use.
    pub(crate) fn key(&mut self, name: &str) -> SecretText {
        match self.keys.get(name) {
            Some(key) => key.clone(),
            None => {
                let key = SecretText::from(token());
                self.keys.insert(name.to_owned(), key.clone());
                key
            }
        }
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
