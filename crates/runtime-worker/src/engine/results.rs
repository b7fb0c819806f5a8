//! The results of an ended task.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{FolderEntry, FolderListing, list_folder_up_to};
use runtime_core::error_chain;
use tokio::task::spawn_blocking;

use super::files::{ExtractError, FolderWalk, TaskFile, WalkedFile};
use crate::resolution::Exit;

/// The results of an ended task. Dropping it removes the task's files; the worker drops it on a thread that may block.
#[async_trait]
pub trait ResultSet: Send + Sync {
    /// Returns the exit status of the task.
    fn exit(&self) -> Exit;

    /// Resolves a path of the task to a path on this machine.
    ///
    /// An engine whose files are elsewhere returns [`ExtractError::NotLocal`], and implements
    /// [`open_file`](Self::open_file) and [`walk_folder`](Self::walk_folder).
    ///
    /// The result must contain no symbolic links, as after `canonicalize`. Uploads do not follow links, because
    /// processes that the task left behind may create some at any time.
    ///
    /// # Errors
    ///
    /// An [`ExtractError`] if the path does not exist or is outside of the task's files.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError>;

    /// Returns a plain file of the task. Default: the file that [`extract`](Self::extract) finds.
    ///
    /// # Errors
    ///
    /// An [`ExtractError`] if the path is no plain file of the task.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn open_file(&self, path: &str) -> Result<TaskFile, ExtractError> {
        let file = self.extract(path).await?;
        if file.is_file() {
            return Ok(TaskFile::Local(file));
        }
        let path = path.to_owned();
        Err(ExtractError::NotAFile { path })
    }

    /// Returns the files in a folder of the task and its subfolders, up to `max_entries` files and subfolders. Default:
    /// those in the folder that [`extract`](Self::extract) finds, and those that links in it lead to as far as
    /// [`extract`](Self::extract) permits.
    ///
    /// # Errors
    ///
    /// An [`ExtractError`] if the path is no readable folder of the task. An unreadable subfolder is part of the result.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    async fn walk_folder(
        &self,
        path: &str,
        max_entries: usize,
    ) -> Result<FolderWalk, ExtractError> {
        let root = self.extract(path).await?;
        if !root.is_dir() {
            let path = path.to_owned();
            return Err(ExtractError::NotAFolder { path });
        }
        LocalWalk::run(self, path, root, max_entries).await
    }
}

/// A folder that is walked.
struct Folder {
    /// The path relative to the root of the walk, through links.
    relative: PathBuf,
    /// The path without links.
    real_path: PathBuf,
}

/// A walk through a folder on this machine and the links in it.
struct LocalWalk<'a, R: ?Sized> {
    result: &'a R,
    /// The root, as the task sees it.
    path: &'a str,
    found: FolderWalk,
    /// The links that are not followed yet, with the folder that was listed.
    pending: Vec<(Arc<Folder>, FolderEntry)>,
    /// The folders that links lead to. Each is followed once, because links can form circles.
    linked: HashSet<PathBuf>,
    /// The number of entries that may still be listed.
    remaining: usize,
}

impl<R: ResultSet + ?Sized> LocalWalk<'_, R> {
    async fn run(
        result: &R,
        path: &str,
        root: PathBuf,
        max_entries: usize,
    ) -> Result<FolderWalk, ExtractError> {
        let mut walk = LocalWalk {
            result,
            path,
            found: FolderWalk::default(),
            pending: Vec::new(),
            linked: HashSet::new(),
            remaining: max_entries,
        };
        let folder = Arc::new(Folder {
            relative: PathBuf::new(),
            real_path: root,
        });
        let listing = list(&folder.real_path, max_entries).await;
        let listing = listing.map_err(|source| {
            let path = path.to_owned();
            ExtractError::Unreadable { path, source }
        })?;
        walk.add(&folder, listing);
        while let Some((from, link)) = walk.pending.pop().filter(|_| !walk.found.is_truncated) {
            if let Err(reason) = walk.follow(&from, &link).await {
                let link = from.relative.join(relative_path(&from, &link));
                walk.found.skipped_links.push((link, reason));
            }
        }
        Ok(walk.found)
    }

    /// Adds the files of a folder, and its links to the pending ones.
    fn add(&mut self, folder: &Arc<Folder>, listing: FolderListing) {
        let entries = listing.files.len() + listing.unreadable.len() + listing.links.len();
        self.remaining = self.remaining.saturating_sub(entries);
        self.found.is_truncated |= listing.is_truncated;
        let files = listing.files.into_iter().map(|entry| {
            let path = folder.relative.join(relative_path(folder, &entry));
            let file = Ok(TaskFile::Local(entry.path));
            WalkedFile { path, file }
        });
        let unreadable = listing.unreadable.into_iter().map(|(entry, error)| {
            let path = folder.relative.join(relative_path(folder, &entry));
            let file = Err(error);
            WalkedFile { path, file }
        });
        self.found.files.extend(files.chain(unreadable));
        let links = listing.links.into_iter();
        self.pending
            .extend(links.map(|link| (Arc::clone(folder), link)));
    }

    /// Adds the file or folder that a link leads to.
    async fn follow(&mut self, from: &Folder, link: &FolderEntry) -> Result<(), String> {
        let relative = from.relative.join(relative_path(from, link));
        let path = format!("{}/{}", self.path, relative.display());
        let target = self.result.extract(&path).await;
        let target = target.map_err(|error| match error {
            ExtractError::Missing { .. } => "leads nowhere".to_owned(),
            ExtractError::Outside { .. } => "leads out of the folder of the task".to_owned(),
            error => format!("cannot be followed: {}", error_chain(&error)),
        })?;
        if target.is_file() {
            self.found.files.push(WalkedFile {
                path: relative,
                file: Ok(TaskFile::Local(target)),
            });
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
            relative,
            real_path: target,
        });
        let listing = list(&folder.real_path, self.remaining).await;
        let listing = listing.map_err(|error| format!("cannot be followed: {error}"))?;
        self.add(&folder, listing);
        Ok(())
    }
}

/// Returns the path of an entry relative to the listed folder, with the bytes of the file system.
fn relative_path<'a>(folder: &Folder, entry: &'a FolderEntry) -> &'a Path {
    // The path of an entry starts with that of the listed folder.
    let relative = entry.path.strip_prefix(&folder.real_path);
    relative.unwrap_or(&entry.path)
}

/// Lists up to `max_entries` of a folder on a blocking thread: it may contain millions.
async fn list(folder: &Path, max_entries: usize) -> io::Result<FolderListing> {
    let folder = folder.to_owned();
    // The only join error is a panic, since the task is never aborted.
    let listed = spawn_blocking(move || list_folder_up_to(&folder, max_entries)).await;
    listed.unwrap_or_else(|error| Err(error.into()))
}
