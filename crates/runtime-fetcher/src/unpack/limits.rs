//! How much may come out of an archive.

use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnpackError, Unpacked};

/// How much may come out of an archive.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct UnpackLimits {
    /// How many bytes all files may have together.
    pub max_bytes: u64,
    /// How many files, folders and links there may be, also folders that only a path names.
    pub max_entries: u64,
    /// How many times the size of the archive may come out of it. The first 16 MiB are always allowed.
    pub max_ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 30,
            max_entries: 1_000_000,
            // Text and sources shrink to a fifth, logs to a fiftieth; gzip cannot pass 1032.
            max_ratio: 250,
        }
    }
}

/// Small archives of zeros are no attack.
const ALWAYS_ALLOWED: u64 = 16 << 20;

/// How long all names of folders and links may be together, since they are kept in memory.
const MOST_NAMES: u64 = 128 << 20;

/// What is left of the limits.
pub(super) struct Budget<'a> {
    limits: UnpackLimits,
    by_ratio: u64,
    names: u64,
    stop: &'a AtomicBool,
    used: Unpacked,
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &UnpackLimits, archive: u64, stop: &'a AtomicBool) -> Self {
        Self {
            limits: limits.clone(),
            by_ratio: archive.saturating_mul(limits.max_ratio).max(ALWAYS_ALLOWED),
            names: 0,
            stop,
            used: Unpacked::default(),
        }
    }

    pub(super) fn entry(&mut self) -> Result<(), UnpackError> {
        self.used.entries += 1;
        if self.used.entries > self.limits.max_entries {
            let limit = self.limits.max_entries;
            return Err(UnpackError::TooMany { limit });
        }
        self.check_stop()
    }

    /// So many entries are to come.
    pub(super) fn expect(&self, entries: u64) -> Result<(), UnpackError> {
        let limit = self.limits.max_entries;
        match entries > limit {
            true => Err(UnpackError::TooMany { limit }),
            false => Ok(()),
        }
    }

    /// A name is kept in memory until the end.
    pub(super) fn name(&mut self, length: usize) -> Result<(), UnpackError> {
        self.names += length as u64;
        match self.names > MOST_NAMES {
            true => Err(UnpackError::Names { limit: MOST_NAMES }),
            false => Ok(()),
        }
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<(), UnpackError> {
        self.used.bytes += count;
        if self.used.bytes > self.limits.max_bytes {
            let limit = self.limits.max_bytes;
            return Err(UnpackError::TooLarge { limit });
        }
        if self.used.bytes > self.by_ratio {
            let ratio = self.limits.max_ratio;
            return Err(UnpackError::Swells { ratio });
        }
        self.check_stop()
    }

    pub(super) fn used(&self) -> Unpacked {
        self.used
    }

    fn check_stop(&self) -> Result<(), UnpackError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(UnpackError::Stopped),
            false => Ok(()),
        }
    }
}
