//! Everything the services know, behind one lock.

pub(crate) mod artifact;
mod claim;
mod end;
mod groups;
mod life;
pub(crate) mod pending;
pub(crate) mod task;
mod timers;
pub(crate) mod workers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use claim::{Claim, Claimed};
pub(crate) use end::Verdict;
pub(crate) use task::Task;

use self::groups::Groups;
use self::pending::PendingQueue;
use self::timers::Timers;
use self::workers::Workers;
use super::error::RequestError;
use super::services::auth::clients::Clients;
use super::services::index::IndexedTask;
use super::services::object::Objects;
use super::services::purge_cache::Purges;
use super::services::s3::store::Store;
use super::services::secrets::Secrets;
use super::services::worker_manager::Pools;

/// The state of all services.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tasks: HashMap<Arc<str>, Task>,
    pub(crate) queues: HashMap<String, PendingQueue>,
    pub(crate) groups: Groups,
    pub(crate) workers: Workers,
    pub(crate) timers: Timers,
    pub(crate) index: BTreeMap<String, IndexedTask>,
    pub(crate) objects: Objects,
    pub(crate) purges: Purges,
    pub(crate) secrets: Secrets,
    pub(crate) pools: Pools,
    pub(crate) clients: Clients,
    pub(crate) store: Store,
    /// How long after their time claims and deadlines run out.
    resolver_delay: Duration,
    /// Numbers the runs in order of arrival.
    arrivals: u64,
}

impl State {
    pub(crate) fn new(clients: Clients, resolver_delay: Duration) -> Self {
        Self {
            tasks: HashMap::new(),
            queues: HashMap::new(),
            groups: Groups::new(),
            workers: Workers::default(),
            timers: Timers::default(),
            index: BTreeMap::new(),
            objects: Objects::default(),
            purges: Purges::new(),
            secrets: Secrets::new(),
            pools: Pools::default(),
            clients,
            store: Store::default(),
            resolver_delay,
            arrivals: 0,
        }
    }

    /// The task, or the refusal that most methods answer for one that is not there.
    pub(crate) fn task(&self, task_id: &str) -> Result<&Task, RequestError> {
        self.tasks.get(task_id).ok_or_else(|| unknown_task(task_id))
    }

    /// The queue, made on its first use.
    pub(crate) fn queue(&mut self, task_queue_id: &str) -> &mut PendingQueue {
        if !self.queues.contains_key(task_queue_id) {
            self.queues
                .insert(task_queue_id.to_owned(), PendingQueue::default());
        }
        self.queues.entry(task_queue_id.to_owned()).or_default()
    }

    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.next()
    }
}

/// The refusal for a task that is not there.
pub(crate) fn unknown_task(task_id: &str) -> RequestError {
    RequestError::not_found(format!(
        "Task `{task_id}` not found. Are you sure it was created?"
    ))
}
