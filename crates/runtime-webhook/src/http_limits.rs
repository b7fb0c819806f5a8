//! Limits of an HTTP server.

use std::time::Duration;

/// The longest timeout. hyper adds timeouts to the current time, which panics if the sum overflows.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Limits that a server applies to each connection.
///
/// A timeout of more than a year counts as a year.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// The maximum number of open connections, by default 10 000. Further clients wait in the listen
    /// queue of the operating system.
    pub max_connections: usize,

    /// The maximum size of a request head in bytes, by default 64 KiB and at least 8 KiB. A larger head
    /// is answered with 431.
    pub max_header_bytes: usize,

    /// The maximum number of header fields of a request, by default 100. More are answered with 431.
    pub max_headers: usize,

    /// The timeout for receiving a request head, also used as the idle timeout between requests. 30
    /// seconds by default.
    pub header_timeout: Duration,

    /// The maximum time without data of a request body while the handler is reading it. The body then
    /// ends with an error. 2 minutes by default.
    pub body_timeout: Duration,

    /// The maximum time until the handler of a hook responds. It restarts whenever the handler reads data of the request.
    /// When it is exceeded, the future of the handler is dropped, and the client gets 503. 10 minutes by default.
    ///
    /// The body of the response is not limited, nor is an upgraded connection.
    pub response_timeout: Duration,

    /// The maximum time in which a client accepts no data. 2 minutes by default.
    ///
    /// Over HTTP/2 the timeout also applies to each response alone, where the client has to accept 16 KiB
    /// within this time.
    pub write_timeout: Duration,
}

impl HttpLimits {
    /// Returns the limits with timeouts that can be added to the current time.
    pub(crate) fn bounded(mut self) -> Self {
        for timeout in [
            &mut self.header_timeout,
            &mut self.body_timeout,
            &mut self.response_timeout,
            &mut self.write_timeout,
        ] {
            *timeout = MAX_TIMEOUT.min(*timeout);
        }
        self
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(120),
            response_timeout: Duration::from_secs(600),
            write_timeout: Duration::from_secs(120),
        }
    }
}
