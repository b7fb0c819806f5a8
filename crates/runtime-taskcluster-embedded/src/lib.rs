//! An embedded Taskcluster: stateful, over HTTP on 127.0.0.1, for tests and for a first try.
//!
//! It speaks the protocols of a real one: requests are signed with Hawk and really checked, scopes
//! are enforced, claims expire, artifacts are uploaded to signed URLs. What it does not implement
//! answers 404 and says so.
//!
//! ```
//! # use runtime_taskcluster_embedded::{Taskcluster, TaskState};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let taskcluster = Taskcluster::start().await?;
//! let task_id = taskcluster.create_task(json!({
//!     "taskQueueId": "test/linux",
//!     "payload": { "command": ["true"] },
//! }))?;
//! // A worker would now claim it from `taskcluster.root_url()`.
//! taskcluster.cancel_task(&task_id)?;
//! let status = taskcluster.wait_for(&task_id, |status| status.state.is_resolved()).await?;
//! assert_eq!(status.state, TaskState::Exception);
//! taskcluster.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Limitations
//!
//! State is in memory and gone at the end. There is no Pulse, no GitHub, no provisioning of
//! workers; answers are not compressed. Signatures are checked against the machine's clock,
//! everything else against the clock of the [`Taskcluster`], which
//! [`advance`](Taskcluster::advance) moves. A signature must have a nonce, and one that comes a second
//! time is not refused.

mod admin;
mod api;
mod artifacts;
mod body;
mod builder;
mod call;
mod connection;
mod control;
mod credentials;
mod definition;
mod error;
mod faults;
mod hawk;
#[cfg(feature = "pages")]
mod page;
mod router;
mod schema;
mod scopes;
mod server;
mod services;
mod shared;
mod slug;
mod state;
mod time;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::Credentials;
use runtime_core::clock::MockClock;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::task::JoinHandle;

pub use self::artifacts::{ReadArtifactError, StoredArtifact};
pub use self::builder::{Builder, StartError};
pub use self::error::{ErrorCode, RequestError};
pub use self::faults::{Fault, FaultRule, InjectedFault};
pub use self::state::artifact::{Artifact, ArtifactKind};
pub use self::state::task::{RunStatus, TaskState, TaskStatus};

use self::definition::{Definition, check_task_id};
use self::services::auth::clients::ROOT;
use self::services::queue::schemas::CREATE_TASK;
use self::shared::Shared;
use self::state::Task;

/// A running Taskcluster. Dropping it ends it.
pub struct Taskcluster {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Taskcluster {
    /// Starts one with default settings on a free port.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] if no port or no temporary folder can be had.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing runs before the future is done.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Settings to start with.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The root URL: what clients call `TASKCLUSTER_ROOT_URL`.
    #[must_use]
    pub fn root_url(&self) -> &str {
        &self.shared.root_url
    }

    /// Credentials that may do everything.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials::new(ROOT, self.shared.root_token.expose_secret())
    }

    /// The clock that rules claims, credentials and deadlines.
    #[must_use]
    pub fn clock(&self) -> MockClock {
        self.shared.clock.clone()
    }

    /// Moves the clock forward; what becomes due has happened when this returns.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// Creates a task and returns its id.
    ///
    /// The definition is the body of `createTask`; what a hand-written one leaves out (`created`,
    /// `deadline`, `metadata`, ...) is filled in, and it may name its own `taskId`.
    ///
    /// # Errors
    ///
    /// Returns the refusal that `createTask` would answer.
    pub fn create_task(&self, definition: Value) -> Result<String, RequestError> {
        let now = self.shared.now();
        let (task_id, mut payload) = definition::complete(definition, now);
        check_task_id(&task_id)?;
        CREATE_TASK.check(&mut payload)?;
        let definition = Definition::new(&task_id, payload)?;
        self.shared
            .update(|state| state.create_task(&task_id, definition, now))?;
        Ok(task_id)
    }

    /// The status of a task.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task.
    pub fn status(&self, task_id: &str) -> Result<TaskStatus, RequestError> {
        self.shared
            .read(|state| state.task(task_id).map(Task::status))
    }

    /// The definition of a task, as the queue would give it to a worker.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task.
    pub fn task(&self, task_id: &str) -> Result<Value, RequestError> {
        let definition = self
            .shared
            .read(|state| state.task(task_id).map(|task| Arc::clone(&task.definition)))?;
        Ok(serde_json::to_value(&*definition).unwrap_or_default())
    }

    /// Waits until the status of a task is as wanted.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub async fn wait_for(
        &self,
        task_id: &str,
        wanted: impl Fn(&TaskStatus) -> bool,
    ) -> Result<TaskStatus, RequestError> {
        let look = |state: &state::State| match state.task(task_id).map(Task::status) {
            Ok(status) => wanted(&status).then_some(Ok(status)),
            Err(error) => Some(Err(error)),
        };
        self.shared.wait_for(look).await
    }

    /// Waits until a task is resolved, whatever the verdict.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only looks.
    pub async fn wait_until_resolved(&self, task_id: &str) -> Result<TaskStatus, RequestError> {
        self.wait_for(task_id, |status| status.state.is_resolved())
            .await
    }

    /// Cancels a task, as `cancelTask` would.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task, or if its deadline has passed.
    pub fn cancel_task(&self, task_id: &str) -> Result<TaskStatus, RequestError> {
        let now = self.shared.now();
        self.shared.update(|state| state.cancel_task(task_id, now))
    }

    /// Makes calls go wrong on purpose. Rules stay until they are used up or cleared.
    pub fn inject(&self, rule: FaultRule) -> InjectedFault {
        self.shared.faults.inject(rule)
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Ends it: no connection, task or temporary file is left when this returns.
    ///
    /// Workers that wait for tasks get an empty answer at once.
    ///
    /// # Cancel safety
    ///
    /// Safe: it ends all the same, only a little later.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        for task in &mut self.tasks {
            // The only error is a panic, which has been reported where it happened.
            let _ = task.await;
        }
    }
}

impl Drop for Taskcluster {
    /// Ends it, a moment later: nobody can wait here for the requests in flight.
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

impl fmt::Debug for Taskcluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taskcluster")
            .field("root_url", &self.shared.root_url)
            .finish_non_exhaustive()
    }
}
