//! Limits for the content of an archive.

use std::sync::atomic::{AtomicBool, Ordering};

use runtime_core::util::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::UnpackError;

/// Limits for the content of an archive.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct UnpackLimits {
    /// The maximum total size of all files.
    #[serde(with = "ByteSize")]
    pub max_bytes: u64,
    /// The maximum number of files, folders and links, including folders that occur only in paths.
    pub max_entries: u64,
    /// The maximum ratio of unpacked bytes to the size of the archive. The first 16 MiB are always allowed.
    pub max_ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 30,
            max_entries: 1_000_000,
            // Source code compresses to a fifth, logs to a fiftieth. The format of gzip limits the ratio to 1032,
            // xz and zstd reach millions.
            max_ratio: 250,
        }
    }
}

/// The totals of an unpacked archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackTotals {
    /// The number of files, folders and links.
    pub entries: u64,
    /// The total size of all files in bytes.
    pub bytes: u64,
}

/// Unpacked bytes that are allowed at any ratio: a small archive of zeros is not an attack.
const MIN_RATIO_BYTES: u64 = 16 << 20;

/// The maximum total length of the names of folders and links, which are kept in memory.
const MAX_NAME_BYTES: u64 = 128 << 20;

/// Counts the content of an archive against its limits, while it is unpacked.
///
/// Counting declared sizes in advance would trust the archive.
pub(super) struct UnpackBudget<'a> {
    limits: UnpackLimits,
    max_bytes_by_ratio: u64,
    name_bytes: u64,
    stop: &'a AtomicBool,
    used: UnpackTotals,
}

impl<'a> UnpackBudget<'a> {
    pub(super) fn new(limits: &UnpackLimits, archive_bytes: u64, stop: &'a AtomicBool) -> Self {
        Self {
            limits: limits.clone(),
            max_bytes_by_ratio: archive_bytes
                .saturating_mul(limits.max_ratio)
                .max(MIN_RATIO_BYTES),
            name_bytes: 0,
            stop,
            used: UnpackTotals::default(),
        }
    }

    pub(super) fn count_entry(&mut self) -> Result<(), UnpackError> {
        self.used.entries += 1;
        self.check_entries(self.used.entries)?;
        self.check_stop()
    }

    /// Checks a number of entries without counting them.
    pub(super) fn check_entries(&self, entries: u64) -> Result<(), UnpackError> {
        let limit = self.limits.max_entries;
        if entries > limit {
            return Err(UnpackError::TooManyEntries { limit });
        }
        Ok(())
    }

    /// Counts a name that is kept in memory.
    pub(super) fn count_name(&mut self, bytes: usize) -> Result<(), UnpackError> {
        self.name_bytes += bytes as u64;
        if self.name_bytes > MAX_NAME_BYTES {
            return Err(UnpackError::NamesTooLong {
                limit: MAX_NAME_BYTES,
            });
        }
        Ok(())
    }

    pub(super) fn count_bytes(&mut self, bytes: u64) -> Result<(), UnpackError> {
        self.used.bytes += bytes;
        if self.used.bytes > self.limits.max_bytes {
            let limit = self.limits.max_bytes;
            return Err(UnpackError::TooLarge { limit });
        }
        if self.used.bytes > self.max_bytes_by_ratio {
            let ratio = self.limits.max_ratio;
            return Err(UnpackError::RatioExceeded { ratio });
        }
        self.check_stop()
    }

    pub(super) fn used(&self) -> UnpackTotals {
        self.used
    }

    fn check_stop(&self) -> Result<(), UnpackError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(UnpackError::Cancelled);
        }
        Ok(())
    }
}
