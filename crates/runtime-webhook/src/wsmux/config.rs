//! The configuration of a session.

use std::time::Duration;

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that opened the connection.
    Client,
    /// The end that accepted the connection.
    Server,
}

/// The configuration of a session.
///
/// The protocol announces a receive window only to the opener of a stream, when the stream is accepted. The
/// window of the opener is never announced, so both ends must agree on it in advance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The receive window of this end in bytes per stream. 1 MiB by default.
    ///
    /// It is announced for streams that the peer opens. For streams that this end opens, it must equal the
    /// window that the peer assumes.
    pub receive_window: u32,

    /// The initial receive window of the peer for streams that the peer opens, in bytes. 4 MiB by default;
    /// websocktunnel servers before version 94 have 1024.
    pub assumed_window: u32,

    /// The maximum payload of a message in bytes. 32 KiB by default.
    pub max_message_bytes: usize,

    /// The maximum number of bytes of a stream that wait to be sent, after which writes wait. 128 KiB by
    /// default.
    pub max_queued_bytes: usize,

    /// The maximum number of concurrent streams; more are refused. 10 000 by default.
    pub max_streams: usize,

    /// The maximum number of streams of the peer that wait to be accepted; more are refused. 1000 by
    /// default.
    pub accept_backlog: usize,

    /// The interval of pings. The session ends if no data is received between two pings. 20 seconds by
    /// default.
    pub ping_interval: Duration,

    /// The time limit for the peer to accept a stream. 30 seconds by default.
    pub open_timeout: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            receive_window: 1 << 20,
            assumed_window: 4 << 20,
            // Peers accept any length up to the credit. A short message lets the other streams have
            // their turn sooner.
            max_message_bytes: 32 * 1024,
            max_queued_bytes: 128 * 1024,
            max_streams: 10_000,
            accept_backlog: 1000,
            ping_interval: Duration::from_secs(20),
            open_timeout: Duration::from_secs(30),
        }
    }
}
