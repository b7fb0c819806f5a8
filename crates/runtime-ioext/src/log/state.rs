//! The state guarded by the lock of a log.

use std::io;
use std::sync::Arc;

use super::buffer_limits::BufferLimits;
use super::wakers::{LengthWaiters, Wakers};
use crate::segments::Segments;

/// The pending bytes, the waiting tasks and the roles taken by threads.
#[derive(Debug)]
pub(super) struct State {
    /// Accepted bytes that are not in the file yet. They start at the end of the file.
    pub(super) tail: Segments,
    buffer_limits: BufferLimits,
    pub(super) end: Option<End>,
    pub(super) readers: Wakers,
    pub(super) length_waiters: LengthWaiters,
    pub(super) writers: Wakers,
    /// A thread writes to the file without holding the lock. At most one thread does so at a time, so that
    /// bytes reach the file in order.
    pub(super) flushing: bool,
    /// A background flush was requested but has not started.
    pub(super) flush_queued: bool,
    /// A call of at least one segment is appending its chunks. No other bytes may be inserted between them.
    pub(super) large_call: bool,
    /// Bytes pushed during a large call, appended after it.
    pub(super) deferred: Vec<u8>,
    /// No more writes are accepted.
    pub(super) closing: bool,
}

/// The end of a log.
#[derive(Clone, Debug)]
pub(super) enum End {
    Closed,
    Abandoned,
    Failed(Arc<io::Error>),
}

/// Where a write must start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    Anywhere,
    NewLine,
}

impl State {
    pub(super) fn new(buffer_limits: BufferLimits) -> Self {
        Self {
            tail: Segments::new(buffer_limits.segment),
            buffer_limits,
            end: None,
            readers: Wakers::default(),
            length_waiters: LengthWaiters::default(),
            writers: Wakers::default(),
            flushing: false,
            flush_queued: false,
            large_call: false,
            deferred: Vec::new(),
            closing: false,
        }
    }

    /// Appends a line feed if the next bytes must start a line and the last line is unfinished.
    pub(super) fn prepare(&mut self, placement: Placement) {
        if placement == Placement::NewLine && self.tail.last().is_some_and(|last| last != b'\n') {
            self.tail.push(b"\n");
        }
    }

    /// Sets the length of the file, and drops all pending bytes.
    pub(super) fn set_file_len(&mut self, len: u64) {
        self.tail = Segments::starting_at(len, self.buffer_limits.segment);
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_)))
    }

    /// Returns whether a write does not have to wait. The write may still fail.
    pub(super) fn can_write(&self) -> bool {
        self.has_failed() || self.closing || !(self.large_call || self.is_full())
    }

    pub(super) fn needs_flush(&self) -> bool {
        self.buffer_limits.needs_flush(&self.tail)
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer_limits.is_full(&self.tail)
    }

    /// Requests a background flush. Returns whether the caller must start it, because none is requested yet.
    /// One request at a time is sufficient: with more, a fast writer would fill the queue of the blocking
    /// threads.
    pub(super) fn queue_flush(&mut self) -> bool {
        let queue = !self.flushing && !self.flush_queued && !self.has_failed();
        self.flush_queued |= queue;
        queue
    }
}
