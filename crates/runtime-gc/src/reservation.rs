//! Room on disk that is promised to somebody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Shortage;
use crate::amount::Bytes;

/// Room for so many bytes, kept free for its holder until this is dropped.
///
/// The collector adds what is reserved to its floors. What has been written is no longer free, so tell
/// with [`written`](Self::written), or it counts twice.
#[derive(Debug)]
pub struct Reservation {
    reserved: Arc<AtomicU64>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn new(reserved: &Arc<AtomicU64>, bytes: u64) -> Self {
        reserved.fetch_add(bytes, Ordering::AcqRel);
        Self {
            reserved: Arc::clone(reserved),
            bytes,
        }
    }

    /// How much is still kept free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tells that so many of the bytes are on disk now. More than were reserved is fine.
    pub fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.reserved.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// There is not enough room, and no more can be made now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no room for {} on disk: {} are missing, {in_use} resources are in use and {quarantined} could not be freed; \
     wait until tasks end, lower the floor, or give the worker a larger disk",
    Bytes(*.bytes), Bytes(.shortage.missing)
)]
#[non_exhaustive]
pub struct ReserveError {
    /// What was asked for.
    pub bytes: u64,
    /// The limit that is in the way.
    pub shortage: Shortage,
    /// How many resources are in use.
    pub in_use: u64,
    /// How many could not be freed.
    pub quarantined: u64,
}

impl ReserveError {
    /// Whether it can work later without anybody's help: when what is in use or quarantined is freed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.in_use > 0 || self.quarantined > 0
    }
}
