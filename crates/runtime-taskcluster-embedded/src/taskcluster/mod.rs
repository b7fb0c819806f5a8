//! The handle to a running embedded Taskcluster.

pub(crate) mod artifacts;
pub(crate) mod builder;
mod setup;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::Credentials;
use runtime_core::clock::MockClock;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::context::ServerContext;
use crate::definition::{self, Definition, check_task_id};
use crate::error::RequestError;
use crate::faults::{FaultHandle, FaultRule, UnknownMethodError};
use crate::router::method_names;
use crate::services::queue::claims;
use crate::services::queue::schemas::CREATE_TASK;
use crate::state::State;
use crate::state::clients::ROOT_CLIENT_ID;
use crate::state::task::TaskSnapshot;

/// A running embedded Taskcluster. It stops when dropped.
pub struct Taskcluster {
    context: Arc<ServerContext>,
    /// The server and the timers.
    background_tasks: [JoinHandle<()>; 2],
}

impl Taskcluster {
    /// Returns the root URL, which clients call `TASKCLUSTER_ROOT_URL`.
    #[must_use]
    pub fn root_url(&self) -> &str {
        &self.context.root_url
    }

    /// Returns credentials with all scopes.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(ROOT_CLIENT_ID, self.context.root_token())
    }

    /// Returns the clock of claims, credentials and deadlines.
    #[must_use]
    pub fn clock(&self) -> MockClock {
        self.context.clock.clone()
    }

    /// Moves the clock forward, and returns when all claims and deadlines before the new time have expired.
    ///
    /// If this could not be stored, [`status`](Self::status) and later calls fail.
    pub fn advance(&self, by: Duration) {
        self.context.advance(by);
    }

    /// Creates a task and returns its id.
    ///
    /// The definition is the payload of `createTask`. Missing required properties, such as
    /// `created`, `deadline` and `metadata`, get defaults. An additional property `taskId` sets the
    /// id.
    ///
    /// # Errors
    ///
    /// Returns the error of `createTask`.
    pub fn create_task(&self, definition: Value) -> Result<String, RequestError> {
        let now = self.context.now();
        let (task_id, mut payload) = definition::with_defaults(definition, now);
        check_task_id(&task_id)?;
        CREATE_TASK.check(&mut payload, self.context.is_stored())?;
        let definition = Definition::new(&task_id, payload)?;
        self.context
            .update(|state| state.create_task(&task_id, definition, now))?;
        self.context.check_storage()?;
        Ok(task_id)
    }

    /// Returns the status of a task.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist, and if an earlier change could not be stored in the
    /// [data folder](builder::TaskclusterBuilder::data_dir).
    pub fn status(&self, task_id: &str) -> Result<TaskSnapshot, RequestError> {
        self.context
            .read(|state| self.stored_status(state, task_id))
    }

    fn stored_status(&self, state: &State, task_id: &str) -> Result<TaskSnapshot, RequestError> {
        self.context.check_storage()?;
        Ok(state.task(task_id)?.status())
    }

    /// Returns the definition of a task, as the queue sends it to workers.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist.
    pub fn task(&self, task_id: &str) -> Result<Value, RequestError> {
        let definition = self
            .context
            .read(|state| state.task(task_id).map(|task| Arc::clone(&task.definition)))?;
        Ok(serde_json::to_value(&*definition).unwrap_or_default())
    }

    /// Waits until the status of a task satisfies a predicate.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist, and if a change could not be stored.
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn wait_for(
        &self,
        task_id: &str,
        predicate: impl Fn(&TaskSnapshot) -> bool,
    ) -> Result<TaskSnapshot, RequestError> {
        // An unknown task ends the wait with an error: it might never be created.
        let find = |state: &State| match self.stored_status(state, task_id) {
            Ok(status) => predicate(&status).then_some(Ok(status)),
            Err(error) => Some(Err(error)),
        };
        self.context.wait_for(find).await
    }

    /// Waits until a task is completed, failed or resolved with an exception.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist, and if a change could not be stored.
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn wait_until_resolved(&self, task_id: &str) -> Result<TaskSnapshot, RequestError> {
        self.wait_for(task_id, |status| status.state.is_resolved())
            .await
    }

    /// Claims up to `max_tasks` pending runs of a queue for a worker, like `claimWork`, and returns the status of their
    /// tasks. Waits for the first run, at most for the time of the [long poll](builder::TaskclusterBuilder::long_poll).
    ///
    /// It needs no connection, so a process may have many thousand workers that wait.
    ///
    /// # Errors
    ///
    /// Fails if the claim could not be stored.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future has claimed nothing.
    pub async fn claim_work(
        &self,
        task_queue_id: &str,
        worker_group: &str,
        worker_id: &str,
        max_tasks: usize,
    ) -> Result<Vec<TaskSnapshot>, RequestError> {
        let worker = (worker_group, worker_id);
        let claimed = claims::poll(&self.context, task_queue_id, worker, max_tasks).await;
        self.context.check_storage()?;
        Ok(claimed.into_iter().map(|run| run.status).collect())
    }

    /// Cancels a task, like `cancelTask`.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist, or if its deadline has passed.
    pub fn cancel_task(&self, task_id: &str) -> Result<TaskSnapshot, RequestError> {
        let now = self.context.now();
        let status = self.context.update(|state| state.cancel_task(task_id, now));
        self.context.check_storage()?;
        status
    }

    /// Injects a fault into calls until the number of calls of the rule is reached or the rule is removed.
    ///
    /// # Panics
    ///
    /// If the method of the rule does not exist; see [`try_inject`](Self::try_inject).
    pub fn inject(&self, rule: FaultRule) -> FaultHandle {
        self.try_inject(rule)
            .unwrap_or_else(|error| panic!("cannot inject a fault: {error}"))
    }

    /// Injects a fault like [`inject`](Self::inject), for a rule from outside, such as a file.
    ///
    /// # Errors
    ///
    /// An [`UnknownMethodError`] if the method of the rule does not exist.
    pub fn try_inject(&self, rule: FaultRule) -> Result<FaultHandle, UnknownMethodError> {
        rule.check_method(method_names())?;
        Ok(self.context.faults.inject(rule))
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.context.faults.clear();
    }

    /// Stops the server, and returns after all connections are closed and temporary files removed.
    ///
    /// Workers that wait in `claimWork` get an empty response at once.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the server stops nevertheless, a moment later.
    pub async fn stop(mut self) {
        self.context.stopping.cancel();
        for task in &mut self.background_tasks {
            // The only error is a panic, which the panic hook has reported.
            let _ = task.await;
        }
    }
}

impl Drop for Taskcluster {
    /// Stops the server, without waiting for requests in flight.
    fn drop(&mut self) {
        self.context.stopping.cancel();
    }
}

impl fmt::Debug for Taskcluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taskcluster")
            .field("root_url", &self.context.root_url)
            .finish_non_exhaustive()
    }
}
