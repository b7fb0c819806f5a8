//! Finds the files of an entry of `artifacts`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_core::artifact::{FolderEntry, FolderListing, list_folder_up_to};
use runtime_core::error_chain;
use runtime_core::queue::ArtifactErrorReason;
use tokio::task::spawn_blocking;

use super::artifact_names::artifact_name;
use crate::engine::{ExtractError, ResultSet};

/// The reason why a file cannot be uploaded.
pub(super) struct Unavailable {
    pub(super) reason: ArtifactErrorReason,
    pub(super) message: String,
}

impl From<ExtractError> for Unavailable {
    fn from(error: ExtractError) -> Self {
        let reason = match &error {
            ExtractError::Missing { .. } => ArtifactErrorReason::FileMissing,
            ExtractError::Outside { .. } => ArtifactErrorReason::InvalidResource,
            ExtractError::Unreadable { .. } => ArtifactErrorReason::NotReadable,
        };
        Self {
            reason,
            message: error_chain(&error),
        }
    }
}

/// The files of one entry.
#[derive(Default)]
pub(super) struct FoundFiles {
    /// The name of each artifact, with its file.
    pub(super) files: Vec<(String, Result<PathBuf, Unavailable>)>,
    /// Lines for the log about renamed files and links that are left out.
    pub(super) notes: Vec<String>,
}

/// The bound of the number of artifacts of a task.
#[derive(Clone, Copy)]
pub(super) struct ArtifactLimit {
    /// The number that is left for further entries.
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
) -> Result<FoundFiles, Unavailable> {
    let file = result.extract(path).await?;
    if !file.is_file() {
        return Err(wrong_kind(path, "plain file"));
    }
    if limit.remaining == 0 {
        return Err(too_many(path, limit));
    }
    Ok(FoundFiles {
        files: vec![(name.to_owned(), Ok(file))],
        notes: Vec::new(),
    })
}

/// Finds the files of a folder and its subfolders. Links are followed as far as `result` permits.
///
/// All or nothing: a part of the files of a folder, which nobody chose, would look like the whole.
pub(super) async fn find_folder(
    name: &str,
    path: &str,
    result: &dyn ResultSet,
    limit: ArtifactLimit,
) -> Result<FoundFiles, Unavailable> {
    let root = result.extract(path).await?;
    if !root.is_dir() {
        return Err(wrong_kind(path, "directory"));
    }
    let mut search = FolderSearch {
        result,
        found: FoundFiles::default(),
        pending: Vec::new(),
        linked: HashSet::new(),
        remaining: limit.remaining,
        exceeds_limit: false,
    };
    let folder = Arc::new(Folder {
        name: name.trim_end_matches('/').to_owned(),
        path: path.to_owned(),
        real_path: root,
    });
    let listing = list(&folder.real_path, limit.remaining).await;
    search.add(&folder, listing.map_err(|error| unreadable(path, error))?);
    search.follow_links().await;
    if search.exceeds_limit {
        return Err(too_many(path, limit));
    }
    Ok(search.found)
}

/// A folder to upload.
struct Folder {
    /// The prefix of the names of artifacts, without a slash at the end.
    name: String,
    /// The path as the task sees it.
    path: String,
    /// The path without links.
    real_path: PathBuf,
}

/// A search through folders and the links in them.
struct FolderSearch<'a> {
    result: &'a dyn ResultSet,
    found: FoundFiles,
    /// The links that are not followed yet, with the folder that was listed.
    pending: Vec<(Arc<Folder>, FolderEntry)>,
    /// The folders that links lead to. Each is followed once, because links can form circles.
    linked: HashSet<PathBuf>,
    /// The number of entries that may still be listed.
    remaining: usize,
    exceeds_limit: bool,
}

impl FolderSearch<'_> {
    /// Adds the files of a folder, and its links to the pending ones.
    fn add(&mut self, folder: &Arc<Folder>, listing: FolderListing) {
        let entries = listing.files.len() + listing.unreadable.len() + listing.links.len();
        self.remaining = self.remaining.saturating_sub(entries);
        self.exceeds_limit |= listing.is_truncated;
        for file in listing.files {
            let name = self.name(folder, &file);
            self.found.files.push((name, Ok(file.path)));
        }
        for (subfolder, source) in listing.unreadable {
            let name = self.name(folder, &subfolder);
            let reason = unreadable(&format!("{}/{}", folder.path, subfolder.name), source);
            self.found.files.push((name, Err(reason)));
        }
        let links = listing.links.into_iter();
        self.pending
            .extend(links.map(|link| (Arc::clone(folder), link)));
    }

    /// Returns the name of the artifact of an entry, and notes if it differs from that of the file.
    fn name(&mut self, folder: &Folder, entry: &FolderEntry) -> String {
        let relative = relative_path(&folder.real_path, entry);
        let name = artifact_name(&folder.name, relative);
        if name != format!("{}/{}", folder.name, entry.name) {
            self.found.notes.push(format!(
                "Artifact `{name}` is the file {relative:?}: bytes that are not printable ASCII are percent-encoded"
            ));
        }
        name
    }

    async fn follow_links(&mut self) {
        while let Some((from, link)) = self.pending.pop().filter(|_| !self.exceeds_limit) {
            if let Err(reason) = self.follow(&from, &link).await {
                // Quoted, since the task chooses the name.
                let path = format!("{}/{}", from.path, link.name);
                let note = format!("Not uploaded: the link {path:?} {reason}");
                self.found.notes.push(note);
            }
        }
    }

    /// Adds the file or folder that a link leads to.
    async fn follow(&mut self, from: &Folder, link: &FolderEntry) -> Result<(), String> {
        let path = format!("{}/{}", from.path, link.name);
        let target = self.result.extract(&path).await;
        let target = target.map_err(|error| match error {
            ExtractError::Missing { .. } => "leads nowhere".to_owned(),
            ExtractError::Outside { .. } => "leads out of the folder of the task".to_owned(),
            ExtractError::Unreadable { source, .. } => format!("cannot be followed: {source}"),
        })?;
        let name = artifact_name(&from.name, relative_path(&from.real_path, link));
        if target.is_file() {
            self.found.files.push((name, Ok(target)));
            return Ok(());
        }
        if !target.is_dir() {
            return Err("leads to neither a file nor a folder".to_owned());
        }
        let contains_link = link.path.starts_with(&target);
        if contains_link || !self.linked.insert(target.clone()) {
            return Err("leads to a folder that is uploaded already".to_owned());
        }
        let folder = Arc::new(Folder {
            name,
            path,
            real_path: target,
        });
        let listing = list(&folder.real_path, self.remaining).await;
        let listing = listing.map_err(|error| format!("cannot be followed: {error}"))?;
        self.add(&folder, listing);
        Ok(())
    }
}

/// Returns the path of an entry relative to the listed folder, with the bytes of the file system.
fn relative_path<'a>(folder: &Path, entry: &'a FolderEntry) -> &'a Path {
    // The path of an entry starts with that of the listed folder.
    entry.path.strip_prefix(folder).unwrap_or(&entry.path)
}

/// Lists up to `max_entries` of a folder on a blocking thread: it may contain millions.
async fn list(folder: &Path, max_entries: usize) -> std::io::Result<FolderListing> {
    let folder = folder.to_owned();
    // The only join error is a panic, since the task is never aborted.
    let listed = spawn_blocking(move || list_folder_up_to(&folder, max_entries)).await;
    listed.unwrap_or_else(|error| Err(error.into()))
}

fn wrong_kind(path: &str, expected: &str) -> Unavailable {
    Unavailable {
        reason: ArtifactErrorReason::InvalidResource,
        message: format!("`{path}` is not a {expected}"),
    }
}

fn too_many(path: &str, limit: ArtifactLimit) -> Unavailable {
    let max = limit.max;
    Unavailable {
        reason: ArtifactErrorReason::TooLarge,
        message: format!(
            "`{path}` exceeds the limit of {max} artifacts of a task; pack its files into an archive"
        ),
    }
}

fn unreadable(path: &str, source: std::io::Error) -> Unavailable {
    Unavailable::from(ExtractError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
