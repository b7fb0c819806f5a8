//! The frames of a WebSocket after its handshake, as far as a session needs them.
//!
//! A general library buffers whole messages and copies each byte between its buffers. Here a message is encoded and
//! masked once, when it is written to its stream, and received payload is passed on from the read buffer in parts.

mod header;
mod mask;
mod message;
mod reader;
mod writer;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use self::header::Opcode;
use self::reader::{Event, FrameReader};
use self::writer::FrameWriter;
use super::config::Role;
use super::error::SessionError;

pub(super) use self::mask::MaskKeys;
pub(super) use self::message::{EncodedFrame, OutgoingMessage};
pub(super) use self::reader::CloseFrame;

/// A WebSocket on a connection.
#[derive(Debug)]
pub(super) struct WebSocket<S> {
    connection: S,
    reader: FrameReader,
    writer: FrameWriter,
    keys: MaskKeys,
    /// The payload of the latest ping that was not answered yet.
    unanswered_ping: Option<Vec<u8>>,
    has_sent_close: bool,
}

/// The next part of the received data.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// A part of a binary message, possibly empty.
    Binary { bytes: &'a [u8], is_last: bool },
    /// The beginning of a text message.
    Text,
    /// A ping, which is answered by the next write, or a pong.
    Ping,
    /// A close frame, which is answered by the next flush.
    Close(CloseFrame),
    /// The end of the connection.
    Eof,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    pub(super) fn new(connection: S, role: Role) -> Self {
        Self {
            connection,
            reader: FrameReader::new(role),
            writer: FrameWriter::default(),
            keys: MaskKeys::new(role),
            unanswered_ping: None,
            has_sent_close: false,
        }
    }

    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Received<'_>, SessionError>> {
        loop {
            let Some(event) = self.reader.next_event()? else {
                if ready!(self.reader.poll_fill(&mut self.connection, cx))? == 0 {
                    return Poll::Ready(Ok(Received::Eof));
                }
                continue;
            };
            return Poll::Ready(Ok(match event {
                Event::Binary { range, is_last } => Received::Binary {
                    bytes: self.reader.bytes(range),
                    is_last,
                },
                Event::Text => Received::Text,
                Event::Ping(range) => {
                    // Only the latest one, as RFC 6455 allows: a peer that does not read must not fill the memory with pongs.
                    self.unanswered_ping = Some(self.reader.bytes(range).to_vec());
                    Received::Ping
                }
                Event::Pong => Received::Ping,
                Event::Close(frame) => {
                    self.send_close(frame.code, "");
                    Received::Close(frame)
                }
            }));
        }
    }

    /// Reads and discards input, and returns the number of bytes; 0 at the end of the connection.
    ///
    /// Nothing can be received afterwards.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.reader.discard();
        self.reader.poll_fill(&mut self.connection, cx)
    }

    /// Returns whether messages may be sent without exceeding the limit of the write buffer.
    pub(super) fn has_capacity(&self) -> bool {
        self.writer.has_capacity()
    }

    /// Queues a message, which the next write sends.
    pub(super) fn send(&mut self, message: EncodedFrame) {
        self.writer.push(message);
    }

    pub(super) fn send_ping(&mut self) {
        self.send_control(Opcode::Ping, &[]);
    }

    /// Queues a close frame unless one was sent. Without a code, the frame is empty.
    pub(super) fn send_close(&mut self, code: Option<u16>, reason: &str) {
        if std::mem::replace(&mut self.has_sent_close, true) {
            return;
        }
        let mut payload = Vec::new();
        if let Some(code) = code {
            payload.extend(code.to_be_bytes());
            // A control frame has at most 125 bytes.
            payload.extend(&reason.as_bytes()[..reason.floor_char_boundary(123)]);
        }
        self.send_control(Opcode::Close, &payload);
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut message = OutgoingMessage::new(self.keys.next_key(), payload.len());
        message.extend(payload);
        self.writer.push(message.finish(opcode));
    }

    /// Writes queued messages and returns ready once all are written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writer.has_capacity()
            && let Some(payload) = self.unanswered_ping.take()
        {
            self.send_control(Opcode::Pong, &payload);
        }
        self.writer.poll_write(&mut self.connection, cx)
    }

    /// Writes and flushes all messages.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(cx))?;
        if self.writer.needs_flush {
            ready!(Pin::new(&mut self.connection).poll_flush(cx))?;
            self.writer.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}
