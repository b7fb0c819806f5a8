//! Declaration of artifacts.

use std::time::Duration;

use jiff::Timestamp;
use runtime_core::queue::TaskState;
use serde::Serialize;

use super::artifact::{ArtifactKind, DeclaredArtifact};
use super::task::{Run, Task};
use crate::error::RequestError;
use crate::time::{after, millis};

/// The time after an exception in which a worker may still declare artifacts.
const EXCEPTION_GRACE_PERIOD: Duration = Duration::from_secs(25 * 60);
/// The size of the texts of all artifacts of a task, in bytes. The journal stores them with the task in one record.
const MAX_TEXT_SIZE: usize = 16 * 1024 * 1024;
/// The time by which the expiry of an artifact may lie in the past.
const EXPIRY_LEEWAY: Duration = Duration::from_secs(15 * 60);

impl Task {
    /// Returns the run of an artifact to declare. An unknown one is a 400, not a 404.
    pub(crate) fn artifact_run(&self, run_id: u32) -> Result<&Run, RequestError> {
        let run = self.run(run_id);
        run.ok_or_else(unknown_run)
    }

    /// Fails if the run, the expiry or the size do not allow an artifact.
    pub(crate) fn check_artifact(
        &self,
        run_id: u32,
        new: &DeclaredArtifact,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        check_expiry(new, self.definition.expires, now)?;
        self.check_accepts_artifacts(run_id, now)?;
        self.check_text_size(run_id, new)
    }

    fn check_text_size(&self, run_id: u32, new: &DeclaredArtifact) -> Result<(), RequestError> {
        let replaced = self
            .run(run_id)
            .and_then(|run| run.artifacts.get(&new.name));
        let all = self.runs.iter().flat_map(|run| run.artifacts.values());
        let size: usize = all.map(DeclaredArtifact::text_size).sum();
        // The sum includes the replaced artifact, so this cannot underflow.
        let others = size - replaced.map_or(0, DeclaredArtifact::text_size);
        if others + new.text_size() <= MAX_TEXT_SIZE {
            return Ok(());
        }
        Err(RequestError::input(format!(
            "The names, URLs and messages of all artifacts of a task may have at most {MAX_TEXT_SIZE} bytes"
        )))
    }

    /// Fails if an earlier declaration does not allow this one.
    pub(crate) fn check_earlier_artifact(
        &self,
        run_id: u32,
        new: &DeclaredArtifact,
    ) -> Result<(), RequestError> {
        match self.artifact_run(run_id)?.artifacts.get(&new.name) {
            Some(old) if !old.may_become(new) => Err(conflict(old)),
            _ => Ok(()),
        }
    }

    /// Stores an artifact that an earlier declaration allows.
    pub(crate) fn declare_artifact(
        &mut self,
        run_id: u32,
        new: DeclaredArtifact,
    ) -> Result<DeclaredArtifact, RequestError> {
        let run = self.runs.get_mut(run_id as usize);
        let run = run.ok_or_else(unknown_run)?;
        let Some(old) = run.artifacts.get_mut(&new.name) else {
            run.artifacts.insert(new.name.clone(), new.clone());
            return Ok(new);
        };
        old.expires = new.expires;
        // All other kinds keep their properties.
        if let ArtifactKind::Reference { .. } = old.kind {
            *old = new;
        }
        Ok(old.clone())
    }

    /// Records that the upload of an object is complete.
    pub(crate) fn finish_artifact(&mut self, run_id: u32, name: &str) {
        let run = self.runs.get_mut(run_id as usize);
        let artifact = run.and_then(|run| run.artifacts.get_mut(name));
        if let Some(ArtifactKind::Object { finished, .. }) = artifact.map(|it| &mut it.kind) {
            *finished = true;
        }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginalArtifact<'a> {
    storage_type: &'static str,
    content_type: &'a str,
    expires: String,
}

fn conflict(old: &DeclaredArtifact) -> RequestError {
    // A struct keeps the order of the real message.
    let original = OriginalArtifact {
        storage_type: old.kind.storage_type(),
        content_type: &old.content_type,
        expires: millis(old.expires),
    };
    let original = serde_json::to_string_pretty(&original).unwrap_or_default();
    RequestError::conflict(format!(
        "Artifact already exists with different properties, and none of the allowed exceptions apply: {original}"
    ))
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
