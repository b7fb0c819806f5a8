//! The handle of a folder under construction.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runtime_gc::{Reservation, ReserveError, ResourceTracker};

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
