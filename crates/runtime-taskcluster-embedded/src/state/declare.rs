//! Whether a task accepts artifacts.

use std::time::Duration;

use jiff::Timestamp;
use runtime_core::queue::TaskState;

use super::artifact::DeclaredArtifact;
use super::task::{Run, Task};
use crate::error::RequestError;
use crate::time::{after, millis};

/// The time after an exception in which a worker may still declare artifacts.
const EXCEPTION_GRACE_PERIOD: Duration = Duration::from_secs(25 * 60);
/// The time by which the expiry of an artifact may lie in the past.
const EXPIRY_LEEWAY: Duration = Duration::from_secs(15 * 60);

impl Task {
    /// Returns the run of an artifact to declare. An unknown one is a 400, not a 404.
    pub(crate) fn artifact_run(&self, run_id: u32) -> Result<&Run, RequestError> {
        let run = self.run(run_id);
        run.ok_or_else(unknown_run)
    }

    /// Fails if the run or the expiry do not allow an artifact.
    pub(crate) fn check_artifact(
        &self,
        run_id: u32,
        new: &DeclaredArtifact,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        check_expiry(new, self.definition.expires, now)?;
        self.check_accepts_artifacts(run_id, now)
    }

    fn check_accepts_artifacts(&self, run_id: u32, now: Timestamp) -> Result<(), RequestError> {
        let run = &self.artifact_run(run_id)?.status;
        let is_open = match (&run.state, run.resolved) {
            (TaskState::Running, _) => true,
            // A worker whose run was cancelled still uploads its log.
            (TaskState::Exception, Some(resolved)) => after(resolved, EXCEPTION_GRACE_PERIOD) > now,
            _ => false,
        };
        if is_open {
            return Ok(());
        }
        let status = serde_json::to_string_pretty(&self.status()).unwrap_or_default();
        Err(RequestError::conflict(format!(
            "Artifacts cannot be created for a task after it is resolved, unless it is resolved 'exception', and even in this case only up to 25 min past resolution.\n\nTask status: {status}"
        )))
    }
}

fn unknown_run() -> RequestError {
    RequestError::input("Run not found")
}

fn check_expiry(
    new: &DeclaredArtifact,
    task_expires: Timestamp,
    now: Timestamp,
) -> Result<(), RequestError> {
    let expires = millis(new.expires);
    if new.expires > task_expires {
        return Err(RequestError::input(format!(
            "Artifact expires ({expires}) after the task expiration {} (task.expires < expires) - this is not allowed, artifacts may not expire after the task they belong to expires",
            millis(task_expires)
        )));
    }
    if after(new.expires, EXPIRY_LEEWAY) < now {
        return Err(RequestError::input("Expires must be in the future"));
    }
    Ok(())
}
