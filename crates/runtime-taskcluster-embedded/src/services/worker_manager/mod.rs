//! The worker manager, as far as static workers go: pools, registration, errors.

mod pools;
mod register;

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::router::Method;

pub(crate) const METHODS: &[&[Method]] = &[register::METHODS, pools::METHODS];

/// A pool of workers.
#[derive(Debug)]
pub(crate) struct Pool {
    /// As it was created, with everything that answers add.
    definition: Value,
    errors: Vec<Value>,
}

/// A worker of a pool.
#[derive(Debug)]
pub(crate) struct PoolWorker {
    /// Proves at registration that it is this worker.
    static_secret: SecretString,
    /// Proves at the next registration that it is still this worker.
    secret: Option<SecretString>,
    expires: Timestamp,
    created: Timestamp,
    modified: Timestamp,
    capacity: u64,
    removed: bool,
    /// Why the worker should terminate, if it should.
    terminate: Option<String>,
}

impl PoolWorker {
    /// A worker that has not registered yet.
    pub(crate) fn new(static_secret: &str, expires: Timestamp, now: Timestamp) -> Self {
        Self {
            static_secret: SecretString::from(static_secret),
            secret: None,
            expires,
            created: now,
            modified: now,
            capacity: 1,
            removed: false,
            terminate: None,
        }
    }
}

/// Pool, group and id.
pub(crate) type WorkerKey = (String, String, String);

/// All pools and their workers.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pools: BTreeMap<String, Pool>,
    workers: BTreeMap<WorkerKey, PoolWorker>,
}

impl Pools {
    /// Adds a worker, in the place of any that was there, and a pool for it if there is none.
    pub(crate) fn add_worker(&mut self, key: WorkerKey, worker: PoolWorker, now: Timestamp) {
        if !self.pools.contains_key(&key.0) {
            let wishes = json!({ "providerId": "static", "config": {} });
            let definition = pools::complete(&key.0, wishes, now);
            self.pools.insert(
                key.0.clone(),
                Pool {
                    definition,
                    errors: Vec::new(),
                },
            );
        }
        self.workers.insert(key, worker);
    }

    /// Tells a worker, when it asks, to terminate; `false` if there is no such worker.
    pub(crate) fn terminate(&mut self, pool: &str, group: &str, id: &str, reason: &str) -> bool {
        let worker = self
            .workers
            .get_mut(&(pool.to_owned(), group.to_owned(), id.to_owned()));
        worker
            .map(|worker| worker.terminate = Some(reason.to_owned()))
            .is_some()
    }

    /// The errors that workers of a pool have reported.
    pub(crate) fn errors(&self, pool: &str) -> Vec<Value> {
        self.pools
            .get(pool)
            .map(|pool| pool.errors.clone())
            .unwrap_or_default()
    }
}
