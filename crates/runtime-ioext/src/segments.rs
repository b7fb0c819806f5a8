//! A byte queue with cheap appends whose front can be shared without copying.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Size of the buffer for small writes, and the maximum size of a read.
pub(crate) const SEGMENT_SIZE: usize = 64 * 1024;

/// The number of removed segments whose memory is kept.
const MAX_SPARE: usize = 4;

/// A range of a byte stream. It consists of frozen segments, which readers share, and one open buffer at the
/// end, to which writers append.
///
/// The open buffer is frozen only when a reader needs its bytes, so that a write without readers is a plain
/// copy. Freezing splits the buffer and copies nothing. The rejected alternative, one buffer per write,
/// costs an allocation per line.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Capacity of a new open buffer.
    capacity: usize,
    /// Offset of the first byte.
    start: u64,
    /// Offset after the last byte.
    end: u64,
    frozen: VecDeque<Segment>,
    open: BytesMut,
    /// Memory of removed segments, for the next open buffers. The kernel has to clear new memory page by page, which costs
    /// more than the copy into it.
    spare: Vec<BytesMut>,
    /// The last appended byte, which may have been removed since.
    last: Option<u8>,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    bytes: Bytes,
}

impl Segments {
    pub(crate) fn new(capacity: usize) -> Self {
        Self::starting_at(0, capacity)
    }

    /// Creates an empty range at an offset.
    pub(crate) fn starting_at(start: u64, capacity: usize) -> Self {
        let (frozen, open) = (VecDeque::new(), BytesMut::new());
        Self {
            capacity,
            start,
            end: start,
            frozen,
            open,
            spare: Vec::new(),
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

    /// Returns the last appended byte, even if it was already removed.
    pub(crate) fn last(&self) -> Option<u8> {
        self.last
    }

    /// Returns the number of frozen segments. Each has a memory overhead, however short it is.
    pub(crate) fn segments(&self) -> usize {
        self.frozen.len()
    }

    /// Appends a copy of `bytes`, which should be at most a segment long.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.open.capacity() - self.open.len() < bytes.len() {
            // Starting a new buffer copies nothing; letting this one grow would copy its bytes.
            self.freeze();
            self.renew_open(bytes.len());
        }
        self.open.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        self.last = bytes.last().copied().or(self.last);
    }

    /// Appends `bytes` without copying.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        self.freeze();
        let start = self.end;
        self.end += bytes.len() as u64;
        self.last = bytes.last().copied().or(self.last);
        self.frozen.push_back(Segment { start, bytes });
    }

    /// Returns the bytes from `offset` to the end of their segment. `offset` must be within the range.
    pub(crate) fn read(&mut self, offset: u64) -> Bytes {
        if offset >= self.open_start() {
            self.freeze();
        }
        // At least one segment starts at or before an offset within the range, so this cannot
        // underflow.
        let index = self
            .frozen
            .partition_point(|segment| segment.start <= offset)
            - 1;
        let segment = &self.frozen[index];
        segment.bytes.slice((offset - segment.start) as usize..)
    }

    /// Returns all bytes as frozen segments, without copying.
    pub(crate) fn snapshot(&mut self) -> Vec<Bytes> {
        self.freeze();
        self.frozen
            .iter()
            .map(|segment| segment.bytes.clone())
            .collect()
    }

    /// Removes the bytes before `start`. They must be frozen, because a reader or a flush has used them.
    pub(crate) fn advance(&mut self, start: u64) {
        self.start = start;
        while let Some(first) = self.frozen.front_mut() {
            let removed = start.saturating_sub(first.start);
            if removed < first.bytes.len() as u64 {
                // After a short write, a segment is partly in the file.
                first.bytes.advance(removed as usize);
                first.start += removed;
                break;
            }
            if let Some(Segment { bytes, .. }) = self.frozen.pop_front() {
                self.keep(bytes);
            }
        }
        if self.is_empty() {
            // A writer that is slower than its reader needs no more.
            self.spare.truncate(1);
        }
    }

    /// Removes and returns up to `max_len` bytes from the front, without copying.
    pub(crate) fn pop(&mut self, max_len: usize) -> Bytes {
        let mut bytes = self.read(self.start);
        bytes.truncate(max_len);
        self.advance(self.start + bytes.len() as u64);
        bytes
    }

    /// Removes bytes from the front, and copies them to `target`. Returns their number.
    ///
    /// For small reads of small writes, this is faster than [`pop`](Self::pop), which has to freeze the memory
    /// first.
    pub(crate) fn copy_out(&mut self, target: &mut [u8]) -> usize {
        let mut copied = 0;
        while copied < target.len() && !self.is_empty() {
            let rest = &mut target[copied..];
            let front = self.frozen.front().map_or(&self.open[..], |it| &it.bytes);
            let len = front.len().min(rest.len());
            rest[..len].copy_from_slice(&front[..len]);
            copied += len;
            if self.frozen.is_empty() {
                self.open.advance(len);
                self.start += len as u64;
                if self.open.is_empty() {
                    // A writer that is slower than its reader needs no more.
                    self.spare.truncate(1);
                    // The next write uses the same memory, which is in the processor's cache.
                    let _ = self.open.try_reclaim(self.capacity);
                }
            } else {
                self.advance(self.start + len as u64);
            }
        }
        copied
    }

    /// Provides an empty open buffer for `len` bytes.
    fn renew_open(&mut self, len: usize) {
        let capacity = self.capacity.max(len);
        // Bytes that were removed again, if no reader shares them, are the memory that is still in the processor's cache.
        if self.open.try_reclaim(capacity) {
            return;
        }
        if let Some(spare) = self.spare.pop() {
            self.open = spare;
        }
        self.open.reserve(capacity);
    }

    /// Keeps the memory of a removed segment, if no reader shares it and it has the capacity of an open buffer. A buffer
    /// that was frozen in several parts has not.
    fn keep(&mut self, bytes: Bytes) {
        if self.spare.len() == MAX_SPARE {
            return;
        }
        if let Ok(mut buffer) = bytes.try_into_mut() {
            buffer.clear();
            if buffer.capacity() == self.capacity {
                self.spare.push(buffer);
            }
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

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_unless_a_reader_has_it() {
        let mut segments = Segments::new(64);
        (0..10).for_each(|i| segments.push(&[i; 64]));
        let shared = segments.read(0);
        segments.advance(9 * 64);
        assert_eq!(segments.spare.len(), MAX_SPARE);
        segments.push(&[42; 64]);
        assert_eq!(segments.spare.len(), MAX_SPARE - 1);
        assert_eq!(&shared[..], [0; 64]);
        while segments.copy_out(&mut [0; 100]) > 0 {}
        assert!(
            segments.spare.len() <= 1,
            "an idle range keeps little memory"
        );
    }
}
