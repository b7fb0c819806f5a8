//! What a session is set up with.

use std::time::Duration;

/// Which end of a session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that connected.
    Client,
    /// The end that accepted the connection.
    Server,
}

/// What a session is set up with.
///
/// A stream's opener never says how many bytes it takes: the other end has to know. Hence two windows,
/// one that is announced and one that is assumed, and they can differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How many bytes of a stream may be under way to this end. 1 MiB by default.
    ///
    /// It is announced for streams that the peer opens. For those that this end opens the peer assumes
    /// a number: it must be the same.
    pub receive_window: u32,

    /// How many bytes the peer takes at first on streams that it opens. 4 MiB by default; servers of
    /// websocktunnel before 94 take 1024.
    pub assumed_window: u32,

    /// How many bytes go into one message at most. 32 KiB by default.
    pub message_bytes: usize,

    /// How many bytes of a stream wait here for their turn before a write has to wait. 128 KiB by
    /// default.
    pub queued_bytes: usize,

    /// How many streams there are at once; more are refused. 10 000 by default.
    pub streams: usize,

    /// How many streams of the peer wait to be accepted; more are refused. 1000 by default.
    pub backlog: usize,

    /// How often a ping is sent. A session from which nothing was heard between two is over. 20 seconds
    /// by default.
    pub ping_interval: Duration,

    /// How long the peer may take to accept a stream. 30 seconds by default.
    pub open_timeout: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            receive_window: 1 << 20,
            assumed_window: 4 << 20,
            message_bytes: 32 * 1024,
            queued_bytes: 128 * 1024,
            streams: 10_000,
            backlog: 1000,
            ping_interval: Duration::from_secs(20),
            open_timeout: Duration::from_secs(30),
        }
    }
}
