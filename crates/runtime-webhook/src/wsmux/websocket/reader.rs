//! Reads frames.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::header::{FrameHeader, Opcode};
use super::mask::{MaskKey, apply_mask};
use crate::wsmux::config::Role;
use crate::wsmux::error::WebSocketViolation;

/// The size of the read buffer, which a busy stream fills. A smaller one needs more system calls; an idle session uses
/// only its first pages.
const BUFFER_BYTES: usize = 256 * 1024;

/// A read buffer and the frame in progress.
pub(super) struct FrameReader {
    role: Role,
    // Allocated and zeroed once: what remains before a read is at most an incomplete header or control frame, which
    // moves to the front.
    buffer: Box<[u8]>,
    /// The part of the buffer that was read but not parsed.
    unparsed: Range<usize>,
    /// The data frame in progress.
    payload: Option<Payload>,
    /// Whether the last data frame was not the last of its message.
    is_within_message: bool,
}

/// The remaining payload of a data frame.
#[derive(Debug)]
struct Payload {
    remaining: u64,
    key: Option<MaskKey>,
    is_final: bool,
}

/// A parsed part of the input. Ranges refer to the buffer and are valid until the next call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Binary { range: Range<usize>, is_last: bool },
    Text,
    Ping(Range<usize>),
    Pong,
    Close(CloseFrame),
}

/// The payload of a close frame.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::wsmux) struct CloseFrame {
    pub(in crate::wsmux) code: Option<u16>,
    pub(in crate::wsmux) reason: String,
}

impl FrameReader {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            unparsed: 0..0,
            payload: None,
            is_within_message: false,
        }
    }

    /// Reads more input and returns the number of bytes; 0 at the end of the connection.
    pub(super) fn poll_fill(
        &mut self,
        connection: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.buffer.copy_within(self.unparsed.clone(), 0);
        self.unparsed = 0..self.unparsed.len();
        let mut target = ReadBuf::new(&mut self.buffer[self.unparsed.end..]);
        ready!(Pin::new(connection).poll_read(cx, &mut target))?;
        let count = target.filled().len();
        self.unparsed.end += count;
        Poll::Ready(Ok(count))
    }

    /// Discards the input that was read.
    pub(super) fn discard(&mut self) {
        self.unparsed = 0..0;
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Parses the next part of the input, or returns `None` if more input is needed.
    pub(super) fn next_event(&mut self) -> Result<Option<Event>, WebSocketViolation> {
        if let Some(payload) = self.payload.take() {
            return Ok(self.next_part(payload));
        }
        let unparsed = &self.buffer[self.unparsed.clone()];
        let Some((header, len)) = FrameHeader::decode(unparsed)? else {
            return Ok(None);
        };
        if header.key.is_some() != (self.role == Role::Server) {
            return Err(WebSocketViolation::Mask);
        }
        let is_start = match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => return self.control_frame(&header, len),
            Opcode::Text => return Ok(Some(Event::Text)),
            Opcode::Binary => true,
            Opcode::Continuation => false,
        };
        if is_start == self.is_within_message {
            return Err(WebSocketViolation::Fragment);
        }
        self.is_within_message = !header.is_final;
        self.unparsed.start += len;
        Ok(self.next_part(Payload {
            remaining: header.payload_len,
            key: header.key,
            is_final: header.is_final,
        }))
    }

    /// Returns the available part of the payload.
    fn next_part(&mut self, mut payload: Payload) -> Option<Event> {
        let available = self.unparsed.len();
        let len = usize::try_from(payload.remaining).map_or(available, |len| len.min(available));
        payload.remaining -= len as u64;
        let is_end = payload.remaining == 0;
        if len == 0 && !is_end {
            self.payload = Some(payload);
            return None;
        }
        let range = self.take(len, payload.key);
        if let Some(key) = &mut payload.key {
            // The next part starts at another byte of the key.
            key.rotate_left(len % size_of::<MaskKey>());
        }
        let is_last = is_end && payload.is_final;
        self.payload = (!is_end).then_some(payload);
        Some(Event::Binary { range, is_last })
    }

    fn control_frame(
        &mut self,
        header: &FrameHeader,
        header_len: usize,
    ) -> Result<Option<Event>, WebSocketViolation> {
        // Short, so it is parsed as a whole.
        let len = header.payload_len as usize;
        if self.unparsed.len() < header_len + len {
            return Ok(None);
        }
        self.unparsed.start += header_len;
        let range = self.take(len, header.key);
        Ok(Some(match header.opcode {
            Opcode::Ping => Event::Ping(range),
            Opcode::Close => Event::Close(CloseFrame::decode(self.bytes(range))?),
            _ => Event::Pong,
        }))
    }

    /// Removes and unmasks the first unparsed bytes.
    fn take(&mut self, len: usize, key: Option<MaskKey>) -> Range<usize> {
        let range = self.unparsed.start..self.unparsed.start + len;
        self.unparsed.start = range.end;
        if let Some(key) = key {
            apply_mask(&mut self.buffer[range.clone()], key, 0);
        }
        range
    }
}

impl fmt::Debug for FrameReader {
    /// Omits the received data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("unparsed", &self.unparsed)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl CloseFrame {
    fn decode(payload: &[u8]) -> Result<Self, WebSocketViolation> {
        let (code, reason) = match payload.split_first_chunk() {
            Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
            None if payload.is_empty() => (None, payload),
            None => return Err(WebSocketViolation::CloseFrame),
        };
        let reason = std::str::from_utf8(reason).map_err(|_| WebSocketViolation::CloseFrame)?;
        let reason = reason.to_owned();
        Ok(Self { code, reason })
    }
}
