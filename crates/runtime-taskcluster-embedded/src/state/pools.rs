//! Worker pools and the static workers that may register.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secret_text::SecretText;
use super::table::Table;
use crate::time::millis;

/// The number of recent errors that are stored for a pool.
const MAX_ERRORS: usize = 100;

/// A worker pool.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WorkerPool {
    /// The definition with the fields that responses add.
    pub(crate) definition: Value,
    /// The most recent ones, oldest first.
    pub(crate) errors: VecDeque<Value>,
}

impl WorkerPool {
    /// Creates a pool without workers.
    pub(crate) fn new(id: &str, mut definition: Value, now: Timestamp) -> Self {
        definition["workerPoolId"] = json!(id);
        definition["created"] = json!(millis(now));
        definition["lastModified"] = json!(millis(now));
        let states = ["current", "requested", "running", "stopping", "stopped"];
        for state in states {
            definition[format!("{state}Capacity")] = json!(0);
        }
        for state in &states[1..] {
            definition[format!("{state}Count")] = json!(0);
        }
        Self {
            definition,
            errors: VecDeque::new(),
        }
    }

    /// Adds an error that a worker reports.
    pub(crate) fn add_error(&mut self, error: Value) {
        while self.errors.len() >= MAX_ERRORS {
            self.errors.pop_front();
        }
        self.errors.push_back(error);
    }
}

/// A static worker of a pool.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PoolWorker {
    /// The shared secret that the worker presents at registration.
    pub(crate) static_secret: SecretText,
    /// The one-time secret that the worker presents at the next reregistration.
    pub(crate) registration_secret: Option<SecretText>,
    pub(crate) expires: Timestamp,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) capacity: u64,
    pub(crate) removed: bool,
    /// The reason to terminate, if `shouldWorkerTerminate` returns `true`.
    pub(crate) terminate: Option<String>,
}

impl PoolWorker {
    /// Creates a worker that has not registered yet.
    pub(crate) fn new(static_secret: &str, expires: Timestamp, now: Timestamp) -> Self {
        Self {
            static_secret: SecretText::from(static_secret.to_owned()),
            registration_secret: None,
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
#[derive(Debug)]
pub(crate) struct WorkerPools {
    pub(crate) by_id: Table<String, WorkerPool>,
    pub(crate) workers: Table<WorkerKey, PoolWorker>,
}

impl WorkerPools {
    /// Returns a pool, and creates it if necessary.
    pub(crate) fn pool(&mut self, id: &str, now: Timestamp) -> &mut WorkerPool {
        self.by_id.get_or_insert_with(id.to_owned(), || {
            let definition = json!({ "providerId": "static", "config": {} });
            WorkerPool::new(id, definition, now)
        })
    }

    /// Adds or replaces a worker, and creates its pool if necessary.
    pub(crate) fn add_worker(&mut self, key: WorkerKey, worker: PoolWorker, now: Timestamp) {
        self.pool(&key.0, now);
        self.workers.insert(key, worker);
    }
}
