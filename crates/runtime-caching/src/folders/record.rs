//! The record of a folder on disk.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime_core::measure_tree;
use runtime_gc::{Footprint, Size};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk;
use super::root::millis;

/// The record of a folder. The modification time of its file is the time of last use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: Value,
    /// The start of the construction in milliseconds since 1970.
    created: u64,
    /// Bytes on disk, if they are known.
    #[serde(default)]
    bytes: Option<u64>,
    /// Files and folders, if they are known.
    #[serde(default)]
    inodes: Option<u64>,
}

impl Record {
    pub(super) fn new(key: Value, created: SystemTime) -> Self {
        Self {
            key,
            created: millis(created),
            bytes: None,
            inodes: None,
        }
    }

    pub(super) fn created(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.created)
    }

    pub(super) fn footprint(&self) -> Footprint {
        let size = |amount: Option<u64>| amount.map_or(Size::Unknown, Size::Known);
        Footprint::disk(size(self.bytes)).with_inodes(size(self.inodes))
    }

    /// Counts the contents of `folder`. If a part cannot be read, the size is unknown.
    pub(super) fn measure(&mut self, folder: &Path) {
        let size = measure_tree(folder).inspect_err(|error| {
            tracing::debug!(folder = %folder.display(), %error, "cannot measure a cached folder");
        });
        let size = size.map(|size| (size.disk_bytes, size.entries));
        (self.bytes, self.inodes) = size.ok().unzip();
    }

    /// Writes the record without a sync: after a power loss, an incomplete record counts as unreadable, and its folder is
    /// removed.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        disk::write(path, &serde_json::to_vec(self)?, disk::Sync::No)
    }

    /// Writes the record in place. A lease is read only after its move to the index.
    pub(super) fn write_lease(&self, path: &Path) -> io::Result<()> {
        disk::overwrite(path, &serde_json::to_vec(self)?)
    }

    /// Returns the record and the time since the last use of its folder.
    pub(super) fn read(path: &Path) -> io::Result<(Self, Duration)> {
        let record = serde_json::from_slice(&fs::read(path)?)?;
        // The modification time, because updating it is one system call. Rewriting the record at each use would need
        // a sync and could damage it.
        let last_used = fs::metadata(path)?.modified()?;
        // If the clock was set back, the folder counts as just used.
        Ok((record, last_used.elapsed().unwrap_or_default()))
    }
}
