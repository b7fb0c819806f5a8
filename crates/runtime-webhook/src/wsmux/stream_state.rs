//! The state of a stream within its session.

use std::collections::VecDeque;
use std::task::Waker;

use super::frame::{HEADER_BYTES, data_header};
use super::recv_buffer::RecvBuffer;
use super::websocket::{EncodedFrame, MaskKeys, OutgoingMessage};

/// A queued message below this length is extended by the next write, so that many small writes do not become
/// many small messages.
const MIN_MESSAGE_BYTES: usize = 4 * 1024;

/// The state of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    pub(super) recv: RecvHalf,
    pub(super) send: SendHalf,
    /// Whether a [`Stream`](super::stream::Stream) exists. Without one, received data is discarded.
    pub(super) has_handle: bool,
    /// Whether the stream is in the send queue of the session.
    pub(super) is_queued: bool,
    /// The number of pings sent before the latest frame was received.
    pub(super) last_active_ping: u64,
}

/// The receiving half of a stream.
#[derive(Debug, Default)]
pub(super) struct RecvHalf {
    pub(super) buffer: RecvBuffer,
    /// The number of bytes that the peer may still send.
    pub(super) window: usize,
    /// The number of bytes read from the buffer but not yet acknowledged.
    pub(super) unacknowledged: usize,
    /// Whether the peer sent FIN.
    pub(super) has_ended: bool,
    /// Whether the peer exceeded its window.
    pub(super) has_overflowed: bool,
    pub(super) reader: Option<Waker>,
}

/// The sending half of a stream.
#[derive(Debug, Default)]
pub(super) struct SendHalf {
    /// The number of bytes that the peer accepts; `None` until it accepts the stream.
    pub(super) credit: Option<usize>,
    /// Encoded DAT frames that wait for the stream's turn.
    messages: VecDeque<OutgoingMessage>,
    /// The number of payload bytes in `messages`.
    queued_bytes: usize,
    /// Whether the local end was shut down: no further writes.
    pub(super) is_closed: bool,
    /// Whether FIN was sent.
    pub(super) has_ended: bool,
    /// The task that waits to write, or for the stream to be accepted.
    pub(super) writer: Option<Waker>,
}

impl RecvHalf {
    /// Buffers received bytes. Returns `false` if they exceed the window.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        // The window limits the buffer, so a fast peer cannot make this end use more memory than announced.
        let Some(window) = self.window.checked_sub(bytes.len()) else {
            return false;
        };
        self.window = window;
        self.buffer.push(bytes);
        true
    }

    /// Reopens the window and returns the number of bytes to acknowledge, once it is half of the full window.
    pub(super) fn take_ack(&mut self, full_window: usize) -> Option<u32> {
        let count = self.unacknowledged;
        // An ACK for each read would cost a message per read. Waiting for half a window cannot stall the peer: the
        // other half is either still available to the peer, or in the buffer, from where the next read takes it.
        if self.has_ended || self.has_overflowed || count == 0 || count < full_window / 2 {
            return None;
        }
        self.window += count;
        u32::try_from(std::mem::take(&mut self.unacknowledged)).ok()
    }
}

impl SendHalf {
    /// Queues as many bytes as credit and limits allow, and returns their number.
    pub(super) fn push(
        &mut self,
        stream: u32,
        bytes: &[u8],
        limits: &QueueLimits,
        keys: &mut MaskKeys,
    ) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let capacity = limits.max_queued_bytes.saturating_sub(self.queued_bytes);
            let credit = self.credit.unwrap_or(0);
            let len = (bytes.len() - written).min(capacity).min(credit);
            let bytes = &bytes[written..written + len];
            let count = self.push_message(stream, bytes, limits.max_message_bytes, keys);
            if count == 0 {
                break;
            }
            // Credit is used when data is queued, not when it is sent: `next_message` then needs no check.
            self.queued_bytes += count;
            self.credit = Some(credit - count);
            written += count;
        }
        written
    }

    /// Appends bytes to the last message if that is short, or else to a new message.
    fn push_message(
        &mut self,
        stream: u32,
        bytes: &[u8],
        max_message_bytes: usize,
        keys: &mut MaskKeys,
    ) -> usize {
        let capacity = |message: &OutgoingMessage| {
            (max_message_bytes + HEADER_BYTES).saturating_sub(message.len())
        };
        let last = self
            .messages
            .back_mut()
            .filter(|last| last.len() < MIN_MESSAGE_BYTES && capacity(last) > 0);
        let max_len = last
            .as_ref()
            .map_or(max_message_bytes, |last| capacity(last));
        let bytes = &bytes[..bytes.len().min(max_len)];
        match last {
            // No message: an empty DAT is never sent.
            _ if bytes.is_empty() => {}
            Some(last) => last.extend(bytes),
            None => {
                let capacity = HEADER_BYTES + bytes.len();
                let mut message = OutgoingMessage::new(keys.next_key(), capacity);
                message.extend(&data_header(stream));
                message.extend(bytes);
                self.messages.push_back(message);
            }
        }
        bytes.len()
    }

    /// Returns the next encoded DAT frame.
    pub(super) fn pop(&mut self) -> Option<EncodedFrame> {
        let message = self.messages.pop_front()?;
        self.queued_bytes -= message.len() - HEADER_BYTES;
        Some(message.into_binary())
    }

    /// Returns whether the queue has enough capacity to wake the writer.
    pub(super) fn is_half_empty(&self, limits: &QueueLimits) -> bool {
        self.queued_bytes <= limits.max_queued_bytes / 2
    }

    /// Returns whether a DAT or FIN frame has to be sent.
    pub(super) fn has_work(&self) -> bool {
        !self.messages.is_empty() || (self.is_closed && !self.has_ended)
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.queued_bytes = 0;
    }
}

/// The limits of a stream's queue of messages.
#[derive(Debug)]
pub(super) struct QueueLimits {
    pub(super) max_message_bytes: usize,
    pub(super) max_queued_bytes: usize,
}
