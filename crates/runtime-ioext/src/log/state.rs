//! The state guarded by the lock of a log.

use std::io;
use std::sync::Arc;

use super::buffer_limits::BufferLimits;
use super::wakers::Wakers;
use crate::segments::Segments;

#[derive(Debug)]
pub(super) struct State {
    /// Bytes that are not in the file yet, starting at the end of the file.
    pub(super) tail: Segments,
    buffer_limits: BufferLimits,
    pub(super) end: Option<End>,
    pub(super) readers: Wakers,
    pub(super) writers: Wakers,
    /// A thread is writing to the file.
    pub(super) flushing: bool,
    /// A background flush was requested and has not started.
    pub(super) flush_queued: bool,
    /// A call larger than the memory limit is appending its chunks.
    pub(super) large_call: bool,
    /// Pushes during that call, appended after it.
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

/// The position at which a write must start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Anywhere,
    OfLine,
}

impl State {
    pub(super) fn new(buffer_limits: BufferLimits) -> Self {
        Self {
            tail: Segments::new(buffer_limits.segment),
            buffer_limits,
            end: None,
            readers: Wakers::default(),
            writers: Wakers::default(),
            flushing: false,
            flush_queued: false,
            large_call: false,
            deferred: Vec::new(),
            closing: false,
        }
    }

    /// Terminates an unfinished line if the next bytes must start one.
    pub(super) fn begin(&mut self, start: Start) {
        if start == Start::OfLine && self.tail.last().is_some_and(|last| last != b'\n') {
            self.tail.push(b"\n");
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_)))
    }

    /// Returns whether a write can proceed, be it to succeed or to fail.
    pub(super) fn can_write(&self) -> bool {
        self.has_failed() || self.closing || !(self.large_call || self.is_full())
    }

    pub(super) fn needs_flush(&self) -> bool {
        self.buffer_limits.needs_flush(&self.tail)
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer_limits.is_full(&self.tail)
    }

    /// Returns whether the caller must start a flush.
    pub(super) fn queue_flush(&mut self) -> bool {
        let queue = !self.flushing && !self.flush_queued && !self.has_failed();
        self.flush_queued |= queue;
        queue
    }
}
