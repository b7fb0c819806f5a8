//! Setup of the services other than the queue.

use std::time::Duration;

use runtime_core::Credentials;
use secrecy::SecretString;
use serde_json::Value;

use super::Taskcluster;
use crate::context::IssuingService;
use crate::error::RequestError;
use crate::schema::is_storable;
use crate::state::index::IndexEntry;
use crate::state::pools::PoolWorker;
use crate::state::secrets::StoredSecret;
use crate::time::{after, before};

/// The interval between the start of credentials and their creation, for clients whose clock is behind.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// The lifetime of index entries, secrets and static workers.
const ENTRY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Taskcluster {
    /// Creates temporary credentials with the given scopes.
    #[must_use]
    pub fn temporary_credentials(
        &self,
        client_id: &str,
        scopes: &[&str],
        lifetime: Duration,
    ) -> Credentials {
        let now = self.context.now();
        let expires = after(now, lifetime);
        // The queue may issue all scopes, because its client has the scope `*`.
        let issued = self.context.issue(
            IssuingService::Queue,
            client_id.to_owned(),
            scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            (before(now, CLOCK_LEEWAY), expires),
        );
        Credentials::new(issued.client_id, issued.access_token)
            .with_certificate(issued.certificate)
            .with_expiry(expires)
    }

    /// Requests the purge of a cache, like `purgeCache`.
    pub fn purge_cache(&self, worker_pool_id: &str, cache_name: &str) {
        let key = (worker_pool_id.to_owned(), cache_name.to_owned());
        let now = self.context.now();
        self.context.update(|state| state.purges.insert(key, now));
    }

    /// Adds a task to the index with rank 0 for a day, like `insertTask`.
    pub fn index_task(&self, namespace: &str, task_id: &str) {
        let expires = after(self.context.now(), ENTRY_LIFETIME);
        let entry = IndexEntry::new(namespace, task_id, expires);
        self.context.update(|state| state.index.insert(entry));
    }

    /// Stores a secret for a day.
    ///
    /// # Panics
    ///
    /// If the state is stored, and the value has more than 100 nested levels, so that it could not be read after a
    /// restart.
    pub fn set_secret(&self, name: &str, value: Value) {
        assert!(
            !self.context.is_stored() || is_storable(&value),
            "the secret `{name}` has too many nested levels"
        );
        let expires = after(self.context.now(), ENTRY_LIFETIME);
        let secret = StoredSecret { value, expires };
        self.context
            .update(|state| state.secrets.insert(name.to_owned(), secret));
    }

    /// Adds a static worker that can register with a secret, and creates its pool if necessary.
    pub fn add_static_worker(
        &self,
        worker_pool_id: &str,
        worker_group: &str,
        worker_id: &str,
        static_secret: &str,
    ) {
        let now = self.context.now();
        let worker = PoolWorker::new(static_secret, after(now, ENTRY_LIFETIME), now);
        let key = worker_key(worker_pool_id, worker_group, worker_id);
        self.context
            .update(|state| state.pools.add_worker(key, worker, now));
    }

    /// Sets the `workerConfig` that the workers of a pool receive when they register, and creates the pool if necessary.
    ///
    /// # Panics
    ///
    /// If the state is stored, and the configuration has more than 100 nested levels, so that it could not be read
    /// after a restart.
    pub fn set_worker_config(&self, worker_pool_id: &str, config: Value) {
        assert!(
            !self.context.is_stored() || is_storable(&config),
            "the configuration of `{worker_pool_id}` has too many nested levels"
        );
        let now = self.context.now();
        self.context.update(|state| {
            let pool = state.pools.pool(worker_pool_id, now);
            pool.definition["config"]["workerConfig"] = config;
        });
    }

    /// Asks a worker to terminate: `shouldWorkerTerminate` then returns `true`.
    ///
    /// # Errors
    ///
    /// Fails if the worker does not exist, and if the change could not be stored.
    pub fn terminate_worker(
        &self,
        worker_pool_id: &str,
        worker_group: &str,
        worker_id: &str,
        reason: &str,
    ) -> Result<(), RequestError> {
        let key = worker_key(worker_pool_id, worker_group, worker_id);
        let found = self.context.update(|state| {
            let worker = state.pools.workers.get_mut(&key);
            let worker = worker.ok_or_else(|| {
                RequestError::not_found(format!(
                    "worker `{worker_group}/{worker_id}` of `{worker_pool_id}` not found"
                ))
            })?;
            worker.terminate = Some(reason.to_owned());
            Ok(())
        });
        self.context.check_storage()?;
        found
    }

    /// Returns the last 100 errors that the workers of a pool have reported, oldest first.
    #[must_use]
    pub fn worker_errors(&self, worker_pool_id: &str) -> Vec<Value> {
        self.context.read(|state| {
            let pool = state.pools.by_id.get(worker_pool_id);
            pool.map(|pool| pool.errors.iter().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// Quarantines a worker for the given time, during which it gets no tasks.
    pub fn quarantine_worker(
        &self,
        task_queue_id: &str,
        worker_group: &str,
        worker_id: &str,
        duration: Duration,
    ) {
        let now = self.context.now();
        let name = (worker_group, worker_id);
        self.context.update(|state| {
            let worker = state.workers.record_activity(task_queue_id, name, now);
            worker.quarantine_until = Some(after(now, duration));
        });
    }

    /// Returns the key that signs the tokens of `websocktunnelToken`, for a tunnel server.
    #[must_use]
    pub fn tunnel_key(&self) -> SecretString {
        self.context.tunnel_key.expose().into()
    }
}

fn worker_key(pool: &str, group: &str, id: &str) -> (String, String, String) {
    (pool.to_owned(), group.to_owned(), id.to_owned())
}
