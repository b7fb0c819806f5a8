//! Reservations of disk space for temporary files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_gc::{HostStats, SystemStats as _};

/// The limits of a storage and the sum of its reservations.
#[derive(Debug)]
pub(super) struct Quota {
    root: PathBuf,
    disk: HostStats,
    limit: Option<u64>,
    reserved: Mutex<Reserved>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reserved {
    /// The sum of all reservations, written or not.
    bytes: u64,
    /// The part that is not written yet: the file system still reports it as free.
    unwritten: u64,
}

impl Quota {
    pub(super) fn new(root: &Path, limit: Option<u64>) -> Self {
        Self {
            root: root.to_owned(),
            disk: HostStats::new(root),
            limit,
            reserved: Mutex::default(),
        }
    }

    pub(super) fn reserve(
        self: &Arc<Self>,
        bytes: u64,
    ) -> Result<StorageReservation, ReserveStorageError> {
        let mut reserved = self.reserved.lock();
        // Read under the lock: bytes that `record_written` removes from the sum in between would count as free.
        let free = self.disk.read().disk.known().map(|disk| disk.free);
        if let Some(quota) = self.limit
            && bytes > quota.saturating_sub(reserved.bytes)
        {
            return Err(ReserveStorageError::Quota {
                root: self.root.clone(),
                bytes,
                quota,
                reserved: reserved.bytes,
            });
        }
        if let Some(free) = free
            && bytes > free.saturating_sub(reserved.unwritten)
        {
            return Err(ReserveStorageError::Disk {
                root: self.root.clone(),
                bytes,
                free,
                unwritten: reserved.unwritten,
            });
        }
        // Nothing bounds the sums if there is neither a quota nor a known free space.
        reserved.bytes = reserved.bytes.saturating_add(bytes);
        reserved.unwritten = reserved.unwritten.saturating_add(bytes);
        Ok(StorageReservation {
            quota: Arc::clone(self),
            bytes,
            unwritten: bytes,
        })
    }
}

/// Reserved disk space of a [`TemporaryStorage`](super::TemporaryStorage), released on drop.
///
/// Keep it until the files are removed: its bytes count against the quota until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it releases the reserved space"]
pub struct StorageReservation {
    quota: Arc<Quota>,
    bytes: u64,
    unwritten: u64,
}

impl StorageReservation {
    /// Returns the reserved number of bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that `bytes` of the reservation were written. The file system then counts these bytes as used.
    /// If they were counted here too, other reservations would be refused. Excess bytes are ignored.
    pub fn record_written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.unwritten);
        self.unwritten -= bytes;
        self.quota.reserved.lock().unwritten -= bytes;
    }
}

impl Drop for StorageReservation {
    fn drop(&mut self) {
        let mut reserved = self.quota.reserved.lock();
        reserved.bytes = reserved.bytes.saturating_sub(self.bytes);
        reserved.unwritten = reserved.unwritten.saturating_sub(self.unwritten);
    }
}

/// The error of [`TemporaryStorage::reserve`](super::TemporaryStorage::reserve).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveStorageError {
    /// The quota of the storage is exhausted.
    #[error(
        "cannot reserve {bytes} bytes for temporary files in `{}`: {reserved} of {quota} bytes are \
         reserved; wait until tasks end, or raise the quota",
        root.display()
    )]
    Quota {
        /// The root of the storage.
        root: PathBuf,
        /// The requested bytes.
        bytes: u64,
        /// The quota in bytes.
        quota: u64,
        /// The bytes reserved by others.
        reserved: u64,
    },

    /// The disk is too full.
    #[error(
        "cannot reserve {bytes} bytes on the disk of `{}`: {free} bytes are free, {unwritten} of them reserved; \
         wait until tasks end, or give the worker a larger disk",
        root.display()
    )]
    Disk {
        /// The root of the storage.
        root: PathBuf,
        /// The requested bytes.
        bytes: u64,
        /// The free bytes.
        free: u64,
        /// The bytes reserved by others and not written yet.
        unwritten: u64,
    },
}
