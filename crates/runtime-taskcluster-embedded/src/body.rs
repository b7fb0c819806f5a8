//! Bodies of answers.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// The body of any answer.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// How much of a file is read at a time.
const CHUNK: usize = 256 * 1024;

/// No bytes.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed()
}

/// All bytes at once.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed()
}

/// What a reader gives; `guard` lives as long as the body.
pub(crate) fn stream<G: Send + Sync + 'static>(
    reader: impl AsyncRead + Send + Sync + 'static,
    guard: G,
) -> Body {
    let frames = ReaderStream::with_capacity(reader, CHUNK).map_ok(move |bytes| {
        let _ = &guard;
        Frame::data(bytes)
    });
    StreamBody::new(frames).boxed()
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
