//! A queue of bytes that is cheap to append to, and to share the front of.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The size of a buffer in which small writes are gathered, and the most that is read at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes in order, by their offset in a stream: frozen segments that readers share, then the open one that
/// writers append to.
///
/// A segment is frozen when somebody asks for it, and not before: while nobody does, a write is a copy
/// into the open buffer. Freezing splits the buffer and copies nothing.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// The size of the buffer in which small writes are gathered.
    chunk: usize,
    /// Where the bytes start.
    start: u64,
    /// Where they end.
    end: u64,
    frozen: VecDeque<Segment>,
    open: BytesMut,
    last: Option<u8>,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    bytes: Bytes,
}

impl Chunks {
    pub(crate) fn new(chunk: usize) -> Self {
        let (frozen, open) = (VecDeque::new(), BytesMut::new());
        Self {
            chunk,
            start: 0,
            end: 0,
            frozen,
            open,
            last: None,
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The byte before the end, also if it was forgotten.
    pub(crate) fn last(&self) -> Option<u8> {
        self.last
    }

    /// How many segments are frozen. Each takes some memory besides its bytes.
    pub(crate) fn segments(&self) -> usize {
        self.frozen.len()
    }

    /// Appends a copy of bytes, which should be fewer than a chunk.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.open.capacity() - self.open.len() < bytes.len() {
            self.freeze();
            self.open = BytesMut::with_capacity(self.chunk.max(bytes.len()));
        }
        self.open.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        self.last = bytes.last().copied().or(self.last);
    }

    /// Appends bytes without copying them.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        self.freeze();
        let start = self.end;
        self.end += bytes.len() as u64;
        self.last = bytes.last().copied().or(self.last);
        self.frozen.push_back(Segment { start, bytes });
    }

    /// The bytes from an offset to the end of their segment. There must be some.
    pub(crate) fn read(&mut self, offset: u64) -> Bytes {
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

    /// Everything, in order.
    pub(crate) fn snapshot(&mut self) -> Vec<Bytes> {
        self.freeze();
        self.frozen
            .iter()
            .map(|segment| segment.bytes.clone())
            .collect()
    }

    /// Forgets the bytes before an offset, because nobody needs them any more.
    pub(crate) fn advance(&mut self, start: u64) {
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
