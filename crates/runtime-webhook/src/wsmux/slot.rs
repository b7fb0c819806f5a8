//! One stream, as the session knows it.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::buffer::Buffer;
use super::frame::{HEADER, begin_data};

/// A message that is shorter takes what is written next, too.
const SHORT: usize = 4 * 1024;

/// The state of a stream.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    /// Whether somebody still has the stream; if not, what comes is thrown away.
    pub(super) held: bool,
    /// Whether the stream waits for its turn to send.
    pub(super) in_turn: bool,
    /// At which ping something came last.
    pub(super) heard: u64,
}

/// What comes.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    pub(super) buffer: Buffer,
    /// How many bytes the peer may still send.
    pub(super) window: usize,
    /// How many bytes were read, and were not given back to the peer yet.
    pub(super) consumed: usize,
    /// Whether the peer has no more.
    pub(super) ended: bool,
    /// Whether the peer sent more than it may.
    pub(super) overflowed: bool,
    pub(super) reader: Option<Waker>,
}

/// What goes.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// How many bytes the peer still takes; `None` until it accepts the stream.
    pub(super) credit: Option<usize>,
    /// Messages that wait for the stream's turn, with their headers.
    messages: VecDeque<BytesMut>,
    /// How many bytes they are.
    queued: usize,
    /// Whether nothing more is written.
    pub(super) closed: bool,
    /// Whether the peer was told so.
    pub(super) ended: bool,
    pub(super) writer: Option<Waker>,
}

impl Receiving {
    /// Takes bytes that came; `false` if they are more than there was room for.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(window) = self.window.checked_sub(bytes.len()) else {
            return false;
        };
        self.window = window;
        self.buffer.push(bytes);
        true
    }

    /// How many bytes to give back to the peer, once it is worth a message: half of the whole window.
    ///
    /// The peer never waits for less: as long as less than half is read, the rest of the window is with it,
    /// or waits to be read.
    pub(super) fn credit_due(&mut self, whole: usize) -> Option<u32> {
        if self.ended || self.overflowed || self.consumed == 0 || self.consumed < whole / 2 {
            return None;
        }
        self.window += self.consumed;
        u32::try_from(std::mem::take(&mut self.consumed)).ok()
    }
}

impl Sending {
    /// Copies as many bytes as the peer and the queue take, and returns how many that were.
    pub(super) fn push(&mut self, stream: u32, bytes: &[u8], max: &HttpLimits) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let room = max.queued_bytes.saturating_sub(self.queued);
            let credit = self.credit.unwrap_or(0);
            let len = (bytes.len() - written).min(room).min(credit);
            let taken = self.push_some(stream, &bytes[written..written + len], max.message_bytes);
            if taken == 0 {
                break;
            }
            self.queued += taken;
            self.credit = Some(credit - taken);
            written += taken;
        }
        written
    }

    /// Copies to the last message while that is short, or else to a new one.
    fn push_some(&mut self, stream: u32, bytes: &[u8], message_bytes: usize) -> usize {
        let last = self.messages.back_mut().filter(|last| last.len() < SHORT);
        let room = |message: &BytesMut| (message_bytes + HEADER).saturating_sub(message.len());
        let last = last.filter(|last| room(last) > 0);
        let len = bytes
            .len()
            .min(last.as_ref().map_or(message_bytes, |last| room(last)));
        match last {
            _ if len == 0 => {}
            Some(last) => last.extend_from_slice(&bytes[..len]),
            None => {
                let mut message = begin_data(stream, len);
                message.extend_from_slice(&bytes[..len]);
                self.messages.push_back(message);
            }
        }
        len
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.queued -= message.len() - HEADER;
        Some(message.freeze())
    }

    /// Whether there is room for enough that it is worth waking the writer.
    pub(super) fn is_half_empty(&self, max: &HttpLimits) -> bool {
        self.queued <= max.queued_bytes / 2
    }

    /// Whether there is something to send: bytes, or that there are no more.
    pub(super) fn has_work(&self) -> bool {
        !self.messages.is_empty() || (self.closed && !self.ended)
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.queued = 0;
    }
}

/// How much may be queued.
#[derive(Debug)]
pub(super) struct HttpLimits {
    pub(super) message_bytes: usize,
    pub(super) queued_bytes: usize,
}
