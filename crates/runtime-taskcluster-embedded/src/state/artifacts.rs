//! The artifacts of all runs, as workers declare them.

use serde::Serialize;

use super::artifact::{ArtifactKind, DeclaredArtifact};
use super::table::Table;
use crate::error::RequestError;
use crate::time::millis;

/// A task id, a run id and a name.
type ArtifactKey = (String, u32, String);

/// All artifacts, each a separate entity: a task with its artifacts would be written again for each of them.
#[derive(Debug)]
pub(crate) struct Artifacts(pub(super) Table<ArtifactKey, DeclaredArtifact>);

fn key(task_id: &str, run_id: u32, name: &str) -> ArtifactKey {
    (task_id.to_owned(), run_id, name.to_owned())
}

impl Artifacts {
    pub(crate) fn get(&self, task_id: &str, run_id: u32, name: &str) -> Option<&DeclaredArtifact> {
        self.0.get(&key(task_id, run_id, name))
    }

    /// Returns an artifact, unless its upload is unfinished.
    pub(crate) fn visible(
        &self,
        task_id: &str,
        run_id: u32,
        name: &str,
    ) -> Option<&DeclaredArtifact> {
        let artifact = self.get(task_id, run_id, name);
        artifact.filter(|artifact| artifact.is_visible())
    }

    /// Returns the artifacts of a run, by name.
    pub(crate) fn of_run<'a>(
        &'a self,
        task_id: &str,
        run_id: u32,
    ) -> impl Iterator<Item = &'a DeclaredArtifact> {
        let first = key(task_id, run_id, "");
        let end = key(task_id, run_id.saturating_add(1), "");
        self.0.range(first..end).map(|(_, artifact)| artifact)
    }

    /// Fails if an earlier declaration does not allow this one.
    pub(crate) fn check_earlier(
        &self,
        task_id: &str,
        run_id: u32,
        new: &DeclaredArtifact,
    ) -> Result<(), RequestError> {
        match self.get(task_id, run_id, &new.name) {
            Some(old) if !old.may_become(new) => Err(conflict(old)),
            _ => Ok(()),
        }
    }

    /// Stores an artifact that an earlier declaration allows, and returns it.
    pub(crate) fn declare(
        &mut self,
        task_id: &str,
        run_id: u32,
        new: DeclaredArtifact,
    ) -> DeclaredArtifact {
        let key = key(task_id, run_id, &new.name);
        let artifact = self.0.get_or_insert_with(key, || new.clone());
        artifact.expires = new.expires;
        // All other kinds keep their properties.
        if let ArtifactKind::Reference { .. } = artifact.kind {
            *artifact = new;
        }
        artifact.clone()
    }

    /// Records that the upload of an object is complete.
    pub(crate) fn finish(&mut self, task_id: &str, run_id: u32, name: &str) {
        let artifact = self.0.get_mut(&key(task_id, run_id, name));
        if let Some(ArtifactKind::Object { finished, .. }) = artifact.map(|it| &mut it.kind) {
            *finished = true;
        }
    }
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
