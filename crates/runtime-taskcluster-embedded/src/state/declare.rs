//! Declaration of artifacts.

use std::time::Duration;

use jiff::Timestamp;
use runtime_core::queue::TaskState;

use super::artifact::{ArtifactKind, DeclaredArtifact};
use super::task::{Run, Task};
use crate::error::RequestError;
use crate::time::{after, millis};

/// The time after an exception in which a worker may still declare artifacts.
const EXCEPTION_GRACE_PERIOD: Duration = Duration::from_secs(25 * 60);

impl Task {
    /// Returns the run of an artifact to declare. An unknown one is a 400, not a 404.
    pub(crate) fn artifact_run(&self, run_id: u32) -> Result<&Run, RequestError> {
        let run = self.run(run_id);
        run.ok_or_else(|| RequestError::input("Run not found"))
    }

    /// Stores an artifact if the run, the expiry and an earlier declaration allow it.
    pub(crate) fn declare_artifact(
        &mut self,
        run_id: u32,
        new: DeclaredArtifact,
        now: Timestamp,
    ) -> Result<DeclaredArtifact, RequestError> {
        self.check_accepts_artifacts(run_id, now)?;
        check_expiry(&new, self.definition.expires, now)?;
        let key = (run_id, new.name.clone());
        let Some(old) = self.artifacts.get_mut(&key) else {
            self.artifacts.insert(key, new.clone());
            return Ok(new);
        };
        if !old.may_become(&new) {
            return Err(RequestError::conflict(format!(
                "Artifact `{}` already exists with other properties: it is a {} of content type `{}` that expires {}",
                old.name,
                old.kind.storage_type(),
                old.content_type,
                millis(old.expires)
            )));
        }
        old.expires = new.expires;
        // All other kinds keep their properties. An object keeps its upload id, so that the upload
        // that a worker has started continues after a retry of the declaration.
        if let ArtifactKind::Reference { .. } = old.kind {
            *old = new;
        }
        Ok(old.clone())
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
    if new.expires < now {
        return Err(RequestError::input(format!(
            "Artifact expires ({expires}) in the past"
        )));
    }
    Ok(())
}
