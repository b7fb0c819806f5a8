//! What a server puts up with.

use std::time::Duration;

/// Limits of a server, which hold for every connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// How many connections are open at once; more wait until the operating system refuses them.
    /// 10 000 by default.
    pub connections: usize,

    /// How many bytes the head of a request may have; more is answered with 431.
    /// 64 KiB by default, and at least 8 KiB.
    pub header_bytes: usize,

    /// How many fields the head of a request may have; more is answered with 431. 100 by default.
    pub headers: usize,

    /// How long a client may take to send the head of a request, and how long a connection may stay
    /// idle between two. 30 seconds by default.
    pub header_timeout: Duration,

    /// How long a client may send nothing of a request's body while the handler waits for more of it;
    /// then the body ends with an error. 2 minutes by default.
    pub body_timeout: Duration,

    /// How long a client may refuse to take a byte that is ready for it. 2 minutes by default.
    ///
    /// Over HTTP/2 it holds for each answer, too, and for 16 KiB of it: whoever takes them in this time
    /// goes on.
    pub write_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_bytes: 64 * 1024,
            headers: 100,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(120),
        }
    }
}
