//! A run with its task definition.

use jiff::Timestamp;

use crate::error::MalformedPayloadError;
use crate::id::{Run, TaskId};
use crate::queue::{TaskClaim, TaskDefinition};
use crate::scopes::ScopeSet;

/// A run and the definition of its task.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// The run.
    pub run: Run,
    /// The definition, as returned by the queue.
    pub definition: TaskDefinition,
    /// The reasons why a part of the definition cannot be read; see [`TaskClaim::definition_error`].
    pub definition_error: Option<MalformedPayloadError>,
    /// The expiry of the task and the latest expiry of its artifacts.
    pub expires: Timestamp,
}

/// Days from the deadline to the expiry of a task that states none, as in the queue.
const DEFAULT_EXPIRY_DAYS: i64 = 365;

impl TaskInfo {
    /// Creates the info of a claimed run.
    #[must_use]
    pub fn from_claim(claim: &TaskClaim) -> Self {
        let run = Run {
            task_id: claim.status.task_id.clone(),
            run_id: claim.run_id,
        };
        Self {
            definition_error: claim.definition_error.clone(),
            ..Self::new(run, claim.task.clone())
        }
    }

    /// Creates the info of a run with the given definition.
    #[must_use]
    pub fn new(run: Run, definition: TaskDefinition) -> Self {
        let default = jiff::SignedDuration::from_hours(24 * DEFAULT_EXPIRY_DAYS);
        let expires = definition.expires.unwrap_or_else(|| {
            definition
                .deadline
                .checked_add(default)
                .unwrap_or(Timestamp::MAX)
        });
        Self {
            run,
            definition,
            definition_error: None,
            expires,
        }
    }

    /// Returns the id of the task.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        &self.run.task_id
    }

    /// Returns the scopes of the task.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.definition.scopes
    }
}
