//! Why a session or a stream is over.

use std::io;

use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::FrameError;

/// Why a session ended other than by [`Session::close`](super::Session::close).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer said goodbye.
    #[error("the peer closed the session with code {code}: {reason:?}")]
    Closed {
        /// The code of the WebSocket's close frame; 1005 if there was none.
        code: u16,
        /// What the peer said about it.
        reason: String,
    },

    /// The connection ended, without a goodbye.
    #[error("the connection ended without a close frame")]
    Eof,

    /// Nothing was heard from the peer between two pings.
    #[error("nothing was heard from the peer for {seconds} s")]
    Silent {
        /// For how long at least.
        seconds: u64,
    },

    /// The peer sent a message that is no frame.
    #[error("the peer sent something that is no frame")]
    Frame(#[from] FrameError),

    /// The peer sent a text message, where there are only binary ones.
    #[error("the peer sent a text message, where all are binary")]
    Text,

    /// The peer makes this end answer more than it reads.
    #[error("the peer causes answers, and does not read them")]
    Flood,

    /// The peer broke the rules of WebSockets.
    #[error("the peer broke the rules of WebSockets")]
    WebSocket(#[source] tungstenite::Error),

    /// The connection failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl From<tungstenite::Error> for SessionError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::Eof
            }
            tungstenite::Error::Io(error) => Self::Io(error),
            other => Self::WebSocket(other),
        }
    }
}

/// A stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStreamError {
    /// The session is over, or ends once its streams have.
    #[error("cannot open a stream: the session is over")]
    Ended,

    /// The peer does not want it.
    #[error("cannot open a stream: the peer refused it")]
    Refused,

    /// The peer did not answer.
    #[error("cannot open a stream: the peer did not accept it in {seconds} s")]
    Timeout {
        /// How long it had.
        seconds: u64,
    },

    /// There are as many as there may be.
    #[error("cannot open a stream: there are too many")]
    TooMany,
}
