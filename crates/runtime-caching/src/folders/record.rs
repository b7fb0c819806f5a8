//! What is written down of a folder.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime_gc::{Footprint, Size};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::disk;
use super::root::millis;

/// A record. When it was changed last is when the folder was used last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: Value,
    /// When the construction began, in milliseconds since 1970.
    created: u64,
    /// Bytes on disk, if they were counted.
    #[serde(default)]
    bytes: Option<u64>,
    /// Files and folders, if they were counted.
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

    /// Counts what is in `folder`. What cannot be read makes the size unknown.
    pub(super) fn measure(&mut self, folder: &Path) {
        let counted = count(folder).inspect_err(|error| {
            tracing::debug!(folder = %folder.display(), %error, "its size is not known");
        });
        (self.bytes, self.inodes) = counted.ok().unzip();
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        disk::write(path, &serde_json::to_vec(self)?)
    }

    /// The record, and for how long the folder has not been used.
    pub(super) fn read(path: &Path) -> io::Result<(Self, Duration)> {
        let record = serde_json::from_slice(&fs::read(path)?)?;
        let used = fs::metadata(path)?.modified()?;
        // A clock that was set back makes it used just now.
        Ok((record, used.elapsed().unwrap_or_default()))
    }
}

/// Bytes and inodes of a tree. Links are not followed.
fn count(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut bytes, mut inodes) = (0, 0);
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            // Something still tidies up in there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != folder => continue,
            metadata => metadata?,
        };
        bytes += size_on_disk(&metadata);
        inodes += 1;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        }
    }
    Ok((bytes, inodes))
}

#[cfg(unix)]
fn size_on_disk(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn size_on_disk(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
