//! What the lock of a log guards.

use std::io;
use std::sync::Arc;

use super::limits::Limits;
use super::wakers::Wakers;
use crate::chunks::Chunks;

#[derive(Debug)]
pub(super) struct State {
    /// What is not in the file yet; it starts where the file ends.
    pub(super) tail: Chunks,
    limits: Limits,
    pub(super) end: Option<End>,
    pub(super) readers: Wakers,
    pub(super) writers: Wakers,
    /// Somebody writes to the file.
    pub(super) flushing: bool,
    /// Somebody was asked to flush and has not begun.
    pub(super) flush_queued: bool,
    /// A call that does not fit in memory at once appends its bytes.
    pub(super) large_call: bool,
    /// What came in the middle of that call from somebody who does not wait. It goes behind it.
    pub(super) aside: Vec<u8>,
    /// Nothing more is accepted.
    pub(super) closing: bool,
}

/// Why no more bytes will come.
#[derive(Clone, Debug)]
pub(super) enum End {
    Closed,
    Abandoned,
    Failed(Arc<io::Error>),
}

/// Where a call's bytes may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Anywhere,
    OfLine,
}

impl State {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            tail: Chunks::new(limits.chunk),
            limits,
            end: None,
            readers: Wakers::default(),
            writers: Wakers::default(),
            flushing: false,
            flush_queued: false,
            large_call: false,
            aside: Vec::new(),
            closing: false,
        }
    }

    /// Ends an unfinished line if the next bytes are to start one.
    pub(super) fn begin(&mut self, start: Start) {
        if start == Start::OfLine && self.tail.last().is_some_and(|last| last != b'\n') {
            self.tail.push(b"\n");
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_)))
    }

    /// Whether a write may go on: because there is room, or because it will fail anyhow.
    pub(super) fn has_room(&self) -> bool {
        self.has_failed() || self.closing || !(self.large_call || self.is_full())
    }

    pub(super) fn is_ripe(&self) -> bool {
        self.limits.is_ripe(&self.tail)
    }

    pub(super) fn is_full(&self) -> bool {
        self.limits.is_full(&self.tail)
    }

    /// Whether the caller is the one to start a flush.
    pub(super) fn queue_flush(&mut self) -> bool {
        let queue = !self.flushing && !self.flush_queued && !self.has_failed();
        self.flush_queued |= queue;
        queue
    }
}
