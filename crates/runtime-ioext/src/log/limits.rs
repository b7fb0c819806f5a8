//! How much of a log is kept in memory.

use crate::chunks::{CHUNK, Chunks};

/// Bounds of what is pending: accepted, and not yet in the file. Models and tests take less.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Small writes are gathered in buffers of this size.
    pub(super) chunk: usize,
    /// From here on what is pending goes to the file.
    pub(super) ripe: usize,
    /// From here on writers wait until some of it is in the file.
    pub(super) full: usize,
}

/// Counts when writes are tiny and a reader asks for each.
const RIPE_SEGMENTS: usize = 1024;
const FULL_SEGMENTS: usize = 16 * RIPE_SEGMENTS;

impl Limits {
    pub(super) const ORDINARY: Self = Self {
        chunk: CHUNK,
        ripe: CHUNK,
        full: 4 * 1024 * 1024,
    };

    pub(super) fn is_ripe(&self, pending: &Chunks) -> bool {
        pending.len() >= self.ripe || pending.segments() >= RIPE_SEGMENTS
    }

    pub(super) fn is_full(&self, pending: &Chunks) -> bool {
        pending.len() >= self.full || pending.segments() >= FULL_SEGMENTS
    }
}
