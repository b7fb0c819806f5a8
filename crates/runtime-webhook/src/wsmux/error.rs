//! Errors of sessions and streams.

use std::io;

use super::frame::FrameError;

/// The reason that a session ended without [`Session::close`](super::Session::close).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer sent a close frame.
    #[error("the peer closed the session with code {code}: {reason:?}")]
    Closed {
        /// The code of the close frame; 1005 without a code.
        code: u16,
        /// The reason in the close frame.
        reason: String,
    },

    /// The connection ended without a close frame.
    #[error("connection closed without a close frame")]
    Eof,

    /// The peer sent no data between two pings.
    #[error("no data received from the peer for {seconds} s")]
    PingTimeout {
        /// The ping interval in seconds.
        seconds: u64,
    },

    /// The peer sent an invalid frame.
    #[error("the peer sent an invalid frame")]
    Frame(#[from] FrameError),

    /// The peer sent a text message.
    #[error("the peer sent a text message, only binary messages are allowed")]
    Text,

    /// The peer causes responses without reading them.
    #[error("the peer sends requests faster than it reads the responses")]
    Flood,

    /// The peer violated the WebSocket protocol.
    #[error("the peer violated the WebSocket protocol")]
    WebSocket(#[from] WebSocketViolation),

    /// The connection failed.
    #[error("connection failed")]
    Io(#[from] io::Error),
}

/// The peer violated the WebSocket protocol. The session ends with close code 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketViolation {
    /// A reserved bit is set, which requires an extension.
    #[error("frame with a reserved bit")]
    ReservedBits,

    /// The opcode is unknown.
    #[error("frame with the unknown opcode {opcode}")]
    Opcode {
        /// The opcode.
        opcode: u8,
    },

    /// The server masked a frame, or the client did not.
    #[error("frame is masked by the server, or not masked by the client")]
    Mask,

    /// A control frame is fragmented or too long.
    #[error("control frame is fragmented or longer than 125 bytes")]
    ControlFrame,

    /// A message started within another one, or continued without a start.
    #[error("frame does not continue the current message")]
    Fragment,

    /// The payload of a close frame is neither empty nor a code and a reason.
    #[error("invalid close frame")]
    CloseFrame,
}

/// A stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// The session has ended or is closing.
    #[error("cannot open a stream: session closed")]
    Ended,

    /// The peer refused the stream.
    #[error("cannot open a stream: refused by the peer")]
    Refused,

    /// The peer did not respond.
    #[error("cannot open a stream: not accepted by the peer within {seconds} s")]
    Timeout {
        /// The time limit in seconds.
        seconds: u64,
    },

    /// The maximum number of streams is open, or all ids are used.
    #[error("cannot open a stream: too many streams")]
    TooMany,
}
