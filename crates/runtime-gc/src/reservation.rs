//! Room on disk that is promised to somebody.

use std::fmt;
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReserveError {
    /// What was asked for.
    pub bytes: u64,
    /// The limit that is in the way, and what would still be missing if all went that is idle.
    pub shortage: Shortage,
    /// The most bytes that the disk could ever hold above its floor.
    pub capacity: u64,
    /// How many resources are in use, here or by something outside of this process.
    pub in_use: u64,
    /// How many could not be freed.
    pub quarantined: u64,
    /// Bytes that others have reserved and not written yet.
    pub reserved: u64,
}

impl ReserveError {
    /// Whether it can work later without anybody's help: when what is in use, quarantined or reserved is
    /// free. What the disk cannot hold at all is none of that.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.fits() && (self.in_use > 0 || self.quarantined > 0 || self.reserved > 0)
    }

    fn fits(&self) -> bool {
        self.bytes <= self.capacity
    }
}

impl std::error::Error for ReserveError {}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for {} on disk", Bytes(self.bytes))?;
        if !self.fits() {
            let capacity = Bytes(self.capacity);
            return write!(
                f,
                ", which can hold {capacity} above its floor; \
                 lower the floor, or give the worker a larger disk"
            );
        }
        write!(
            f,
            ": {} are missing, {} resources are in use, {} could not be freed and {} are reserved by others; \
             wait until tasks end, lower the floor, or give the worker a larger disk",
            Bytes(self.shortage.missing),
            self.in_use,
            self.quarantined,
            Bytes(self.reserved),
        )
    }
}
