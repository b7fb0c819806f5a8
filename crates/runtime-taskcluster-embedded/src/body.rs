//! Response bodies.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// The body of every response.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// The size of the buffer for file reads, in bytes.
const READ_BUFFER_SIZE: usize = 256 * 1024;

/// Creates an empty body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed()
}

/// Creates a body with the given bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed()
}

/// Creates a body that streams a reader. `guard` is dropped with the body.
pub(crate) fn stream<G: Send + Sync + 'static>(
    reader: impl AsyncRead + Send + Sync + 'static,
    guard: G,
) -> Body {
    let frames = ReaderStream::with_capacity(reader, READ_BUFFER_SIZE).map_ok(move |bytes| {
        // Moves the guard into the closure: a blob keeps its file until the body is sent.
        let _ = &guard;
        Frame::data(bytes)
    });
    StreamBody::new(frames).boxed()
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
