//! The in-memory limits of a log.

use crate::segments::{SEGMENT_SIZE, Segments};

/// Limits of the pending bytes, which are accepted but not in the file yet. Models and tests use smaller
/// limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferLimits {
    /// Size of the buffers for small writes.
    pub(super) segment: usize,
    /// Pending bytes that start a flush.
    pub(super) flush_threshold: usize,
    /// Pending bytes at which writers wait for the file.
    pub(super) max_pending: usize,
}

/// Reads of one log that may block on the disk at the same time. More would only occupy threads.
pub(super) const MAX_DISK_READS: usize = 2;

// Bytes alone do not limit the memory: a reader that keeps up freezes a segment for each tiny write.
const FLUSH_SEGMENTS: usize = 1024;
const MAX_SEGMENTS: usize = 16 * FLUSH_SEGMENTS;

impl BufferLimits {
    pub(super) const DEFAULT: Self = Self {
        segment: SEGMENT_SIZE,
        flush_threshold: SEGMENT_SIZE,
        max_pending: 4 * 1024 * 1024,
    };

    pub(super) fn needs_flush(&self, pending: &Segments) -> bool {
        pending.len() >= self.flush_threshold || pending.segments() >= FLUSH_SEGMENTS
    }

    pub(super) fn is_full(&self, pending: &Segments) -> bool {
        pending.len() >= self.max_pending || pending.segments() >= MAX_SEGMENTS
    }
}
