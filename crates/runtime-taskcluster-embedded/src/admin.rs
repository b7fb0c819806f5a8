//! What tests do to the services beside creating tasks.

use std::time::Duration;

use runtime_core::Credentials;
use secrecy::SecretString;
use serde_json::Value;

use super::Taskcluster;
use super::error::RequestError;
use super::services::{index, secrets, worker_manager};
use super::shared::Service;
use super::time::{after, before};

/// How far back credentials start, for clocks that differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// How long things live that a test makes.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Taskcluster {
    /// Makes temporary credentials with these scopes.
    #[must_use]
    pub fn temporary_credentials(
        &self,
        client_id: &str,
        scopes: &[&str],
        lifetime: Duration,
    ) -> Credentials {
        let now = self.shared.now();
        let expires = after(now, lifetime);
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let span = (before(now, LEEWAY), expires);
        let issued = self
            .shared
            .issue(Service::Queue, client_id.to_owned(), scopes, span);
        Credentials::new(issued.client_id, issued.access_token)
            .with_certificate(issued.certificate)
            .with_expiry(expires)
    }

    /// Asks for a cache to be purged, as `purgeCache` would.
    pub fn purge_cache(&self, worker_pool_id: &str, cache_name: &str) {
        let (key, now) = (
            (worker_pool_id.to_owned(), cache_name.to_owned()),
            self.shared.now(),
        );
        self.shared.update(|state| state.purges.insert(key, now));
    }

    /// Names a task in the index, as `insertTask` would with rank 0.
    pub fn index_task(&self, namespace: &str, task_id: &str) {
        let expires = after(self.shared.now(), LIFETIME);
        let entry = index::IndexedTask::new(namespace, task_id, expires);
        self.shared
            .update(|state| index::insert(&mut state.index, entry));
    }

    /// Stores a secret for a day.
    pub fn set_secret(&self, name: &str, value: Value) {
        let secret = secrets::Secret::new(value, after(self.shared.now(), LIFETIME));
        self.shared
            .update(|state| state.secrets.insert(name.to_owned(), secret));
    }

    /// Lets a static worker register with this secret; makes its pool if there is none.
    pub fn add_static_worker(
        &self,
        worker_pool_id: &str,
        worker_group: &str,
        worker_id: &str,
        static_secret: &str,
    ) {
        let now = self.shared.now();
        let worker = worker_manager::PoolWorker::new(static_secret, after(now, LIFETIME), now);
        let key = (
            worker_pool_id.to_owned(),
            worker_group.to_owned(),
            worker_id.to_owned(),
        );
        self.shared
            .update(|state| state.pools.add_worker(key, worker, now));
    }

    /// Tells a worker of the worker manager to terminate, when it asks next.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such worker.
    pub fn terminate_worker(
        &self,
        worker_pool_id: &str,
        worker_group: &str,
        worker_id: &str,
        reason: &str,
    ) -> Result<(), RequestError> {
        let (pool, group, id) = (worker_pool_id, worker_group, worker_id);
        let found = self
            .shared
            .update(|state| state.pools.terminate(pool, group, id, reason));
        match found {
            true => Ok(()),
            false => Err(RequestError::not_found(format!(
                "worker `{group}/{id}` of `{pool}` was not found"
            ))),
        }
    }

    /// The errors that workers of a pool have reported.
    #[must_use]
    pub fn worker_errors(&self, worker_pool_id: &str) -> Vec<Value> {
        self.shared.read(|state| state.pools.errors(worker_pool_id))
    }

    /// Keeps a worker from getting tasks until so much later.
    pub fn quarantine_worker(
        &self,
        task_queue_id: &str,
        worker_group: &str,
        worker_id: &str,
        how_long: Duration,
    ) {
        let now = self.shared.now();
        self.shared.update(|state| {
            let worker = state
                .workers
                .seen(task_queue_id, (worker_group, worker_id), now);
            worker.quarantine_until = Some(after(now, how_long));
        });
    }

    /// The key that signs the tokens of `websocktunnelToken`, for a tunnel server to check them.
    #[must_use]
    pub fn tunnel_key(&self) -> SecretString {
        self.shared.tunnel_key.clone()
    }
}
