//! What a task is and which run of it this is.

use jiff::Timestamp;

use crate::queue::{TaskClaim, TaskDefinition};
use crate::{Run, ScopeSet, TaskId};

/// What engines and plugins may know of a task.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// The run.
    pub run: Run,
    /// The definition, as the queue gave it.
    pub definition: TaskDefinition,
    /// When the task is forgotten; no artifact outlives it.
    pub expires: Timestamp,
}

/// How long a task is remembered after its deadline if its definition does not say, as the queue has it.
const DAYS_KEPT: i64 = 365;

impl TaskInfo {
    /// What a claim says.
    #[must_use]
    pub fn from_claim(claim: &TaskClaim) -> Self {
        let run = Run {
            task_id: claim.status.task_id.clone(),
            run_id: claim.run_id,
        };
        Self::new(run, claim.task.clone())
    }

    /// Joins a run and a definition.
    #[must_use]
    pub fn new(run: Run, definition: TaskDefinition) -> Self {
        let kept = jiff::SignedDuration::from_hours(24 * DAYS_KEPT);
        let expires = definition.expires.unwrap_or_else(|| {
            definition
                .deadline
                .checked_add(kept)
                .unwrap_or(Timestamp::MAX)
        });
        Self {
            run,
            definition,
            expires,
        }
    }

    /// The task.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        &self.run.task_id
    }

    /// What the task may do.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.definition.scopes
    }
}
