//! A folder under construction: its handle for the constructor, and its state on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use runtime_gc::{Reservation, ReserveError, ResourceTracker};

use super::disk;
use super::folder::{Folder, FolderPolicy, RecordLocation};
use super::leftover::Leftover;
use super::record::Record;
use super::root::{OwnedId, Root};
use crate::constructor::ConstructionContext;

/// An empty folder to be filled. Clones refer to the same folder.
///
/// The folder is removed if its construction fails, panics or is dropped. Nothing may write to it afterwards.
#[derive(Clone, Debug)]
pub struct NewFolder {
    path: PathBuf,
    context: ConstructionContext,
    tracker: ResourceTracker,
}

impl NewFolder {
    pub(super) fn new(root: &Root, id: &OwnedId, context: ConstructionContext) -> Self {
        Self {
            path: root.folder(id),
            context,
            tracker: root.tracker.clone(),
        }
    }

    pub(super) fn created(&self) -> SystemTime {
        self.context.created()
    }

    /// Returns the path of the folder, which stays the same while it is cached.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reports progress to all waiters, see [`ConstructionContext::progress`].
    pub fn progress(&self, done: u64, total: Option<u64>, activity: impl Into<String>) {
        self.context.progress(done, total, activity);
    }

    /// Reserves disk space before a write, see [`ResourceTracker::reserve`].
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the space cannot be freed.
    ///
    /// # Cancel safety
    ///
    /// A dropped future reserves nothing. Resources evicted by then stay evicted.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.tracker.reserve(bytes).await
    }
}

/// A folder under construction, which is removed if this is dropped before it is finished.
pub(super) struct UnfinishedFolder {
    root: Arc<Root>,
    path: PathBuf,
    record: Record,
    /// `None` once it is finished.
    id: Option<OwnedId>,
}

/// A new folder or its record could not be written to disk.
#[derive(Debug, thiserror::Error)]
#[error("cannot create the folder `{}`", path.display())]
pub(super) struct CreateFolderError {
    path: PathBuf,
    source: io::Error,
}

impl UnfinishedFolder {
    pub(super) fn create(
        root: Arc<Root>,
        id: OwnedId,
        record: Record,
    ) -> Result<Self, CreateFolderError> {
        let (path, lease) = (root.folder(&id), root.in_leases(&id));
        let unfinished = Self {
            root,
            path,
            record,
            id: Some(id),
        };
        // The lease first: after a crash in between, the next start finds a lease without a folder. In the reverse
        // order it would find a folder without a record and report it as unknown.
        let written = unfinished.record.write_lease(&lease);
        match written.and_then(|()| disk::create_folder(&unfinished.path)) {
            Ok(()) => Ok(unfinished),
            Err(source) => Err(unfinished.error(source)),
        }
    }

    /// Measures the folder. Its record stays in `leases` until the cache adds the folder, or until the first commit.
    pub(super) fn finish(mut self, policy: Arc<FolderPolicy>) -> Result<Folder, CreateFolderError> {
        self.record.measure(&self.path);
        let id = self.id.take().expect("only taken here");
        // With the size in the record, adding the folder to the cache is only a rename. In other caches, the first commit
        // writes the record: a lease is read only after its move to the index.
        let written = if policy.sharing.keeps_uncommitted() {
            self.record.write_lease(&self.root.in_leases(&id))
        } else {
            Ok(())
        };
        match written {
            Ok(()) => {
                let (root, record) = (Arc::clone(&self.root), self.record.clone());
                Ok(Folder::new(
                    root,
                    id,
                    policy,
                    record,
                    RecordLocation::Leases,
                ))
            }
            Err(source) => {
                self.id = Some(id);
                Err(self.error(source))
            }
        }
    }

    fn error(&self, source: io::Error) -> CreateFolderError {
        let path = self.path.clone();
        CreateFolderError { path, source }
    }
}

impl Drop for UnfinishedFolder {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // If this fails, the next start removes the lease, which is not in the index.
            let _ = disk::remove_file(&self.root.in_leases(&id));
            Leftover::discard(&self.root, id, self.path.clone());
        }
    }
}
