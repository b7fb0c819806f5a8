//! Disk space that is kept free for a future write.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::report::ExceededLimit;
use crate::units::ByteSize;

/// The sums of all reservations of a collector.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReservedSpace {
    /// Bytes that are reserved and not yet written.
    pub(crate) unwritten: u64,
    /// Bytes that were ever recorded as written.
    written: u64,
}

// The sums may wrap: without statistics of the disk, reservations of any size are accepted.
impl ReservedSpace {
    fn reserve(&mut self, bytes: u64) {
        self.unwritten = self.unwritten.wrapping_add(bytes);
    }

    fn release(&mut self, bytes: u64) {
        self.unwritten = self.unwritten.wrapping_sub(bytes);
    }

    fn record_written(&mut self, bytes: u64) {
        self.release(bytes);
        self.written = self.written.wrapping_add(bytes);
    }

    /// Returns the bytes that statistics still count as free if they were read after `earlier` was copied.
    ///
    /// Bytes that were written since may be free in the statistics, so they count as unwritten.
    pub(crate) fn unwritten_since(&self, earlier: Self) -> u64 {
        let written = self.written.wrapping_sub(earlier.written);
        self.unwritten.saturating_add(written)
    }
}

/// Disk space that the collector keeps free until this value is dropped.
///
/// The collector adds reserved bytes to the minimum of free disk. Written bytes are no longer free: report
/// them with [`record_written`](Self::record_written), otherwise they count twice.
#[derive(Debug)]
pub struct Reservation {
    reserved: Arc<Mutex<ReservedSpace>>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn new(reserved: &Arc<Mutex<ReservedSpace>>, bytes: u64) -> Self {
        reserved.lock().reserve(bytes);
        Self {
            reserved: Arc::clone(reserved),
            bytes,
        }
    }

    /// Returns the number of bytes that are still kept free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that `bytes` of the reservation were written. Excess bytes are ignored.
    pub fn record_written(&mut self, bytes: u64) {
        // More bytes than reserved may be written, for example by a download of unknown length.
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.reserved.lock().record_written(bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.lock().release(self.bytes);
    }
}

/// The error of a reservation whose disk space cannot be freed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ReserveError {
    /// The requested bytes.
    pub bytes: u64,
    /// The exceeded limit, and the bytes that are missing even after the eviction of all idle resources.
    pub shortage: ExceededLimit,
    /// The size of the disk above its minimum of free space, in bytes.
    pub capacity: u64,
    /// The number of resources in use, by this process or outside of it.
    pub in_use: u64,
    /// The number of resources that could not be freed.
    pub quarantined: u64,
    /// The bytes reserved by others and not yet written.
    pub reserved: u64,
}

impl ReserveError {
    /// Returns whether a retry may succeed after users, failed disposals or other reservations have freed space.
    ///
    /// It cannot if the request exceeds the capacity of the disk.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.fits_on_disk() && (self.in_use > 0 || self.quarantined > 0 || self.reserved > 0)
    }

    fn fits_on_disk(&self) -> bool {
        self.bytes <= self.capacity
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not enough disk space to reserve {}: ",
            ByteSize(self.bytes)
        )?;
        if !self.fits_on_disk() {
            return write!(
                f,
                "the disk holds at most {} above its minimum of free space; \
                 lower the minimum, or use a larger disk",
                ByteSize(self.capacity)
            );
        }
        write!(
            f,
            "{} missing (resources in use: {}, quarantined: {}, reserved by others: {}); \
             wait until tasks end, lower the minimum of free space, or use a larger disk",
            ByteSize(self.shortage.missing),
            self.in_use,
            self.quarantined,
            ByteSize(self.reserved),
        )
    }
}
