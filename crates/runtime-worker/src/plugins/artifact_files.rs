//! Finds the files of an entry of `artifacts`.

use std::path::MAIN_SEPARATOR;

use runtime_core::error_chain;
use runtime_core::queue::ArtifactErrorReason;

use super::artifact_names::artifact_name;
use crate::engine::{ExtractError, ResultSet, TaskFile};

/// The reason why a file cannot be uploaded.
pub(super) struct Unavailable {
    pub(super) reason: ArtifactErrorReason,
    pub(super) message: String,
}

impl Unavailable {
    /// Describes an error whose reason is the task.
    pub(super) fn of_task(error: ExtractError) -> Self {
        let reason = match &error {
            ExtractError::Missing { .. } => ArtifactErrorReason::FileMissing,
            ExtractError::Outside { .. }
            | ExtractError::NotAFile { .. }
            | ExtractError::NotAFolder { .. } => ArtifactErrorReason::InvalidResource,
            ExtractError::Unreadable { .. }
            | ExtractError::NotLocal { .. }
            | ExtractError::Failed { .. } => ArtifactErrorReason::NotReadable,
        };
        Self {
            reason,
            message: error_chain(&error),
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        self.reason == ArtifactErrorReason::FileMissing
    }
}

/// The reason why an entry has no files.
pub(super) enum FindError {
    /// The task is the reason.
    Unavailable(Unavailable),
    /// The engine is the reason.
    Failed(ExtractError),
}

impl From<ExtractError> for FindError {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Failed { .. } => Self::Failed(error),
            error => Self::Unavailable(Unavailable::of_task(error)),
        }
    }
}

/// The files of one entry.
#[derive(Default)]
pub(super) struct FoundFiles {
    /// The name of each artifact, with its file.
    pub(super) files: Vec<(String, Result<TaskFile, Unavailable>)>,
    /// Lines for the log about renamed files and skipped links.
    pub(super) notes: Vec<String>,
}

/// The limit of the number of artifacts of a task.
#[derive(Clone, Copy)]
pub(super) struct ArtifactLimit {
    /// The remaining number for further entries.
    pub(super) remaining: usize,
    /// The number for the whole task.
    pub(super) max: usize,
}

/// Finds a plain file.
pub(super) async fn find_file(
    name: &str,
    path: &str,
    result: &dyn ResultSet,
    limit: ArtifactLimit,
) -> Result<FoundFiles, FindError> {
    let file = result.open_file(path).await?;
    if limit.remaining == 0 {
        return Err(too_many(path, limit));
    }
    Ok(FoundFiles {
        files: vec![(name.to_owned(), Ok(file))],
        notes: Vec::new(),
    })
}

/// Finds the files of a folder and its subfolders. Links are followed if `result` permits it.
///
/// Returns all files or an error, because an arbitrary part of the files could be mistaken for the whole folder.
pub(super) async fn find_folder(
    name: &str,
    path: &str,
    result: &dyn ResultSet,
    limit: ArtifactLimit,
) -> Result<FoundFiles, FindError> {
    let walk = result.walk_folder(path, limit.remaining).await?;
    // Followed links add entries that the engine may not have counted.
    if walk.is_truncated || walk.files.len() > limit.remaining {
        return Err(too_many(path, limit));
    }
    let prefix = name.trim_end_matches('/');
    let mut found = FoundFiles::default();
    for file in walk.files {
        let relative = file.path;
        let name = artifact_name(prefix, &relative);
        let shown = relative.to_string_lossy().replace(MAIN_SEPARATOR, "/");
        if name != format!("{prefix}/{shown}") {
            found.notes.push(format!(
                "Artifact `{name}` is the file {relative:?}: bytes that are not printable ASCII are percent-encoded"
            ));
        }
        let file = file.file.map_err(|source| {
            let path = format!("{path}/{shown}");
            Unavailable::of_task(ExtractError::Unreadable { path, source })
        });
        found.files.push((name, file));
    }
    for (link, reason) in walk.skipped_links {
        // Quoted, since the task chooses the name.
        let link = format!("{path}/{}", link.display());
        let note = format!("Not uploaded: the link {link:?} {reason}");
        found.notes.push(note);
    }
    Ok(found)
}

fn too_many(path: &str, limit: ArtifactLimit) -> FindError {
    let max = limit.max;
    FindError::Unavailable(Unavailable {
        reason: ArtifactErrorReason::TooLarge,
        message: format!(
            "`{path}` exceeds the limit of {max} artifacts of a task; pack its files into an archive"
        ),
    })
}
