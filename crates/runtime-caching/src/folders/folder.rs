//! A cached folder and its record.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_gc::{CostClass, DisposeError, Footprint};

use super::disk;
use super::record::Record;
use super::removal::Removal;
use super::root::{OwnedId, Root};
use crate::resource::Resource;
use crate::sharing::Sharing;

/// Returns whether a folder is intact.
pub(super) type IntactCheck = Box<dyn Fn(&Path) -> bool + Send + Sync>;

/// The settings that all folders of a cache share.
pub(super) struct FolderPolicy {
    pub(super) sharing: Sharing,
    pub(super) class: CostClass,
    pub(super) check: Option<IntactCheck>,
}

/// A folder of a [`FolderCache`](crate::FolderCache).
///
/// The next process adopts the folder if its record is in `index`. A record in `leases` is a *lease*: the folder is
/// under construction or in exclusive use, so the next process removes it.
///
/// ```text
/// construction:   leases --on_added--> index     (unless uncommitted folders are removed)
/// exclusive use:  index --lease--> leases --save--> index
/// disposal:       index or leases --remove_record--> none
/// ```
pub(super) struct Folder {
    /// Keeps the root locked.
    root: Arc<Root>,
    id: OwnedId,
    path: PathBuf,
    policy: Arc<FolderPolicy>,
    record: Mutex<RecordState>,
    /// Set when the removal starts.
    removal: Mutex<Option<Arc<Removal>>>,
}

#[derive(Debug)]
struct RecordState {
    record: Record,
    /// `None` once the record was removed.
    location: Option<RecordLocation>,
}

/// The folder of the root that contains a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordLocation {
    Index,
    Leases,
}

impl Folder {
    pub(super) fn new(
        root: Arc<Root>,
        id: OwnedId,
        policy: Arc<FolderPolicy>,
        record: Record,
        location: RecordLocation,
    ) -> Self {
        Self {
            path: root.folder(&id),
            root,
            id,
            policy,
            record: Mutex::new(RecordState {
                record,
                location: Some(location),
            }),
            removal: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether [`lease`](Self::lease) has to change the record.
    pub(super) fn needs_lease(&self) -> bool {
        !self.policy.sharing.keeps_uncommitted()
            && self.record.lock().location == Some(RecordLocation::Index)
    }

    /// Records that a user may modify the folder, so that the folder is removed if the process or the machine crashes
    /// in the meantime.
    ///
    /// Blocks while the record is synced.
    pub(super) fn lease(&self) -> io::Result<()> {
        if !self.needs_lease() {
            return Ok(());
        }
        self.move_record(RecordLocation::Index, RecordLocation::Leases)?;
        // Before the user gets the folder: after a power loss, a half-modified folder must not have its old record.
        // Only `leases`. If the power fails before the removal from `index` is on disk, the record
        // is in both folders, and the sweep lets the lease win.
        disk::sync_folder(&self.root.leases())
    }

    /// Reverts a lease whose user did not modify the folder.
    pub(super) fn end_lease(&self) -> io::Result<()> {
        self.move_record(RecordLocation::Leases, RecordLocation::Index)
    }

    /// Records that the folder is ready for the next user, and its current size.
    ///
    /// Blocks while it counts the files.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut record = self.record.lock().record.clone();
        // Without the lock: a purge must not wait for a large folder.
        record.measure(&self.path);
        let mut state = self.record.lock();
        let Some(location) = state.location else {
            // Purged meanwhile. A new record would bring it back at the next start.
            return Ok(());
        };
        // First the new size, then the move: after a crash in between, the folder counts as uncommitted.
        let path = self.record_path(location);
        match location {
            RecordLocation::Index => record.write(&path)?,
            RecordLocation::Leases => {
                record.write_lease(&path)?;
                disk::rename(&path, &self.record_path(RecordLocation::Index))?;
            }
        }
        *state = RecordState {
            record,
            location: Some(RecordLocation::Index),
        };
        // Not synced: if a power loss undoes the move, the folder counts as uncommitted.
        Ok(())
    }

    /// Records the time of last use, which decides the order of eviction after the next start.
    pub(super) fn touch(&self) {
        if self.record.lock().location == Some(RecordLocation::Index) {
            // Best effort: the record may have been removed meanwhile.
            let record = File::options()
                .write(true)
                .open(self.root.in_index(&self.id));
            let _ = record.and_then(|record| record.set_modified(SystemTime::now()));
        }
    }

    /// Removes the record, so that the next process does not adopt the folder.
    fn remove_record(&self) -> io::Result<()> {
        let mut state = self.record.lock();
        if let Some(location) = state.location {
            disk::remove_file(&self.record_path(location))?;
        }
        state.location = None;
        Ok(())
    }

    fn move_record(&self, from: RecordLocation, to: RecordLocation) -> io::Result<()> {
        let mut state = self.record.lock();
        if state.location == Some(from) {
            disk::rename(&self.record_path(from), &self.record_path(to))?;
            state.location = Some(to);
        }
        Ok(())
    }

    fn record_path(&self, location: RecordLocation) -> PathBuf {
        match location {
            RecordLocation::Index => self.root.in_index(&self.id),
            RecordLocation::Leases => self.root.in_leases(&self.id),
        }
    }

    /// Moves the folder to the trash at the first call, and returns its removal.
    fn start_removal(&self) -> Arc<Removal> {
        // Kept for retries: the original path no longer exists, and a part of the content may be
        // removed.
        let mut removal = self.removal.lock();
        let started = removal.get_or_insert_with(|| {
            // At once, so that the path is free and a crash leaves the rest in the trash.
            let path = self.root.move_to_trash(self.path.clone());
            Arc::new(Removal::new(path))
        });
        Arc::clone(started)
    }
}

#[async_trait]
impl Resource for Folder {
    fn footprint(&self) -> Footprint {
        self.record.lock().record.footprint()
    }

    fn class(&self) -> CostClass {
        self.policy.class
    }

    fn is_intact(&self) -> bool {
        // A link in place of the folder is not followed: it could point outside the root.
        let exists = fs::symlink_metadata(&self.path).is_ok_and(|it| it.is_dir());
        let check = self.policy.check.as_ref();
        exists && check.is_none_or(|check| check(&self.path))
    }

    fn is_persistent(&self) -> bool {
        true
    }

    fn on_added(&self) {
        // In an exclusive cache that removes uncommitted folders, the record stays in `leases` until the first commit.
        if self.policy.sharing.keeps_uncommitted()
            && let Err(error) = self.move_record(RecordLocation::Leases, RecordLocation::Index)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot record a cached folder: it will be lost at the next start");
        }
    }

    fn on_discarded(&self) {
        if let Err(error) = self.remove_record() {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot remove the record of a discarded folder: retrying at its disposal");
        }
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        // The record first: after a crash in between, the next start removes a folder without a record.
        self.remove_record()?;
        self.start_removal().run().await
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .field("record", &self.record.lock().location)
            .finish_non_exhaustive()
    }
}
