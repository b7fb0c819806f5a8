//! Room for temporary files that is promised before they are written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_gc::{HostStats, SystemStats as _};

/// What a storage has promised so far.
#[derive(Debug)]
pub(super) struct Room {
    disk: HostStats,
    quota: Option<u64>,
    promised: Mutex<Promised>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    /// By all reservations together, written or not.
    bytes: u64,
    /// What of that is to come, and so does not yet show in what the disk has free.
    unwritten: u64,
}

impl Room {
    pub(super) fn new(root: &Path, quota: Option<u64>) -> Self {
        Self {
            disk: HostStats::new(root),
            quota,
            promised: Mutex::default(),
        }
    }

    pub(super) fn reserve(
        self: &Arc<Self>,
        root: &Path,
        bytes: u64,
    ) -> Result<StorageReservation, ReserveStorageError> {
        let free = self.disk.read().disk.known().map(|disk| disk.free);
        let mut promised = self.promised.lock();
        if let Some(quota) = self.quota
            && bytes > quota.saturating_sub(promised.bytes)
        {
            return Err(ReserveStorageError::Quota {
                root: root.to_owned(),
                bytes,
                quota,
                reserved: promised.bytes,
            });
        }
        if let Some(free) = free
            && bytes > free.saturating_sub(promised.unwritten)
        {
            return Err(ReserveStorageError::Disk {
                root: root.to_owned(),
                bytes,
                free,
                awaited: promised.unwritten,
            });
        }
        // Cannot overflow without a quota either: what is unwritten fits on a disk, the rest is on it.
        promised.bytes = promised.bytes.saturating_add(bytes);
        promised.unwritten = promised.unwritten.saturating_add(bytes);
        Ok(StorageReservation {
            room: Arc::clone(self),
            bytes,
            unwritten: bytes,
        })
    }
}

/// Room for so many bytes in a [`TemporaryStorage`](super::TemporaryStorage), until this is dropped.
///
/// Keep it for as long as the files are there: the quota counts it until then.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct StorageReservation {
    room: Arc<Room>,
    bytes: u64,
    unwritten: u64,
}

impl StorageReservation {
    /// How much was reserved.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tells that so many more of the bytes are on disk now, where they would otherwise count twice. More
    /// than were reserved is fine.
    pub fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.unwritten);
        self.unwritten -= bytes;
        self.room.promised.lock().unwritten -= bytes;
    }
}

impl Drop for StorageReservation {
    fn drop(&mut self) {
        let mut promised = self.room.promised.lock();
        promised.bytes = promised.bytes.saturating_sub(self.bytes);
        promised.unwritten = promised.unwritten.saturating_sub(self.unwritten);
    }
}

/// There is no room for more temporary files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveStorageError {
    /// The quota of the storage does not allow it.
    #[error(
        "{bytes} bytes do not fit into the quota for temporary files in `{}`: {reserved} of {quota} bytes are \
         reserved; wait until tasks end, or raise the quota",
        root.display()
    )]
    Quota {
        /// The root of the storage.
        root: PathBuf,
        /// What was asked for.
        bytes: u64,
        /// What may be reserved in all.
        quota: u64,
        /// What is reserved by others.
        reserved: u64,
    },

    /// The disk does not have it.
    #[error(
        "{bytes} bytes do not fit on the disk of `{}`: {free} bytes are free, and {awaited} of them are reserved; \
         wait until tasks end, or give the worker a larger disk",
        root.display()
    )]
    Disk {
        /// The root of the storage.
        root: PathBuf,
        /// What was asked for.
        bytes: u64,
        /// What is free.
        free: u64,
        /// What others have reserved and not written yet.
        awaited: u64,
    },
}
