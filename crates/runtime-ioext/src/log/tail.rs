//! The end of a log that is in memory: bytes that were accepted and are not yet in the file.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Small writes are gathered in buffers of this size.
pub(super) const CHUNK: usize = 64 * 1024;
/// From here on what is pending goes to the file.
const RIPE_BYTES: usize = CHUNK;
const RIPE_SEGMENTS: usize = 1024;
/// From here on writers wait until some of it is in the file.
const FULL_BYTES: usize = 4 * 1024 * 1024;
const FULL_SEGMENTS: usize = 16 * RIPE_SEGMENTS;

/// Pending bytes, in order: frozen segments that readers and the flusher share, then the open one that
/// writers append to.
///
/// A segment is frozen when a reader or the flusher asks for it, and not before: while nobody follows, a
/// write is a copy into the open buffer. Freezing splits the buffer and copies nothing.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where the pending bytes start, which is where the file ends.
    start: u64,
    /// Where they end.
    end: u64,
    frozen: VecDeque<Segment>,
    open: BytesMut,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    bytes: Bytes,
}

impl Tail {
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn is_ripe(&self) -> bool {
        self.pending() >= RIPE_BYTES || self.frozen.len() >= RIPE_SEGMENTS
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending() >= FULL_BYTES || self.frozen.len() >= FULL_SEGMENTS
    }

    fn pending(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Appends a copy of bytes, which should be fewer than [`CHUNK`].
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.open.capacity() - self.open.len() < bytes.len() {
            self.freeze();
            self.open = BytesMut::with_capacity(CHUNK.max(bytes.len()));
        }
        self.open.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
    }

    /// Appends bytes without copying them.
    pub(super) fn push_shared(&mut self, bytes: Bytes) {
        self.freeze();
        let start = self.end;
        self.end += bytes.len() as u64;
        self.frozen.push_back(Segment { start, bytes });
    }

    /// The bytes from an offset to the end of their segment. There must be some.
    pub(super) fn read(&mut self, offset: u64) -> Bytes {
        if offset >= self.open_start() {
            self.freeze();
        }
        let index = self
            .frozen
            .partition_point(|segment| segment.start <= offset)
            - 1;
        let segment = &self.frozen[index];
        segment.bytes.slice((offset - segment.start) as usize..)
    }

    /// Everything that is pending, in order.
    pub(super) fn snapshot(&mut self) -> Vec<Bytes> {
        self.freeze();
        self.frozen
            .iter()
            .map(|segment| segment.bytes.clone())
            .collect()
    }

    /// Forgets the bytes before an offset, because they are in the file.
    pub(super) fn advance(&mut self, start: u64) {
        self.start = start;
        while let Some(first) = self.frozen.front_mut() {
            if first.start >= start {
                break;
            }
            let cut = ((start - first.start) as usize).min(first.bytes.len());
            if cut < first.bytes.len() {
                first.bytes = first.bytes.split_off(cut);
                first.start = start;
                break;
            }
            self.frozen.pop_front();
        }
    }

    fn open_start(&self) -> u64 {
        self.end - self.open.len() as u64
    }

    fn freeze(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let start = self.open_start();
        self.frozen.push_back(Segment {
            start,
            bytes: self.open.split().freeze(),
        });
    }
}
