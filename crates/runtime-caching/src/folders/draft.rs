//! Making a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use runtime_gc::{Reservation, ReserveError, ResourceTracker};

use super::disk;
use super::folder::{Folder, Place, Policy};
use super::record::Record;
use super::root::{Owned, Root};
use crate::ConstructionContext;

/// An empty folder to be filled. A clone is the same folder.
///
/// If the one who fills it fails, panics or is dropped, the folder is removed. It must not keep writing after that.
#[derive(Clone, Debug)]
pub struct NewFolder {
    path: PathBuf,
    build: ConstructionContext,
    tracker: ResourceTracker,
}

impl NewFolder {
    pub(super) fn new(root: &Root, owned: &Owned, build: ConstructionContext) -> Self {
        Self {
            path: root.folder(owned),
            build,
            tracker: root.tracker.clone(),
        }
    }

    pub(super) fn began(&self) -> SystemTime {
        self.build.began()
    }

    /// The folder. It stays at this path for as long as it is cached.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells everybody who waits how far it is, see [`ConstructionContext::progress`].
    pub fn progress(&self, done: u64, total: Option<u64>, activity: impl Into<String>) {
        self.build.progress(done, total, activity);
    }

    /// Makes room for so many bytes before they are written, see [`ResourceTracker::reserve`].
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the room cannot be made.
    ///
    /// # Cancel safety
    ///
    /// Nothing is reserved if the future is dropped. What was freed by then is freed.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.tracker.reserve(bytes).await
    }
}

/// A folder that is being made. Dropped before it is finished, it is removed.
pub(super) struct Unfinished {
    root: Arc<Root>,
    folder: PathBuf,
    record: Record,
    /// Taken when it is finished.
    owned: Option<Owned>,
}

impl Unfinished {
    pub(super) fn begin(root: Arc<Root>, owned: Owned, record: Record) -> Result<Self, MakeError> {
        let (folder, lease) = (root.folder(&owned), root.in_leases(&owned));
        let unfinished = Self {
            root,
            folder,
            record,
            owned: Some(owned),
        };
        // The lease is there before the folder, so that whoever looks at the disk knows what the folder is for.
        let leased = unfinished.record.write(&lease);
        let made = leased.and_then(|()| disk::create_folder(&unfinished.folder));
        match made {
            Ok(()) => Ok(unfinished),
            Err(source) => Err(unfinished.error(source)),
        }
    }

    /// Writes down what it takes. It stays leased until the cache keeps it.
    pub(super) fn finish(mut self, policy: Arc<Policy>) -> Result<Folder, MakeError> {
        self.record.measure(&self.folder);
        let owned = self.owned.take().expect("it is only taken here");
        match self.record.write(&self.root.in_leases(&owned)) {
            Ok(()) => {
                let (root, record) = (Arc::clone(&self.root), self.record.clone());
                Ok(Folder::new(root, owned, policy, (record, Place::Leases)))
            }
            Err(source) => {
                self.owned = Some(owned);
                Err(self.error(source))
            }
        }
    }

    fn error(&self, source: io::Error) -> MakeError {
        let folder = self.folder.clone();
        MakeError { folder, source }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(owned) = self.owned.take() {
            // What cannot be removed now is removed at the next start, since it has no record in the index.
            let _ = disk::remove_file(&self.root.in_leases(&owned));
            self.root.throw_away(owned, self.folder.clone());
        }
    }
}

/// The disk refused a new folder, or its record.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder `{}`", folder.display())]
pub(super) struct MakeError {
    folder: PathBuf,
    source: io::Error,
}
