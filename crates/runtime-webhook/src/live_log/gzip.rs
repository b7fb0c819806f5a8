//! Compresses a body while it comes.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body, Frame};
use runtime_core::BoxError;

/// What is compressed goes out once there is so much of it, or when nothing more comes for now.
const ENOUGH: usize = 32 * 1024;

/// A body in gzip, which hides nothing in the compressor while it waits.
pub(super) struct GzipBody<B> {
    inner: B,
    encoder: GzEncoder<Vec<u8>>,
    /// Whether the compressor has bytes that were not sent.
    holds_back: bool,
    has_ended: bool,
}

impl<B> GzipBody<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            // A log shrinks to a tenth at the fastest level already.
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            holds_back: false,
            has_ended: false,
        }
    }

    fn take(&mut self) -> Frame<Bytes> {
        Frame::data(std::mem::take(self.encoder.get_mut()).into())
    }

    fn flush(&mut self) -> io::Result<Frame<Bytes>> {
        self.encoder.flush()?;
        self.holds_back = false;
        Ok(self.take())
    }

    fn finish(&mut self) -> io::Result<Frame<Bytes>> {
        self.encoder.try_finish()?;
        self.has_ended = true;
        Ok(self.take())
    }
}

impl<B> Body for GzipBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        while !this.has_ended {
            let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(frame)) => frame.map_err(Into::into)?,
                Poll::Ready(None) => return Poll::Ready(Some(this.finish().map_err(Into::into))),
                Poll::Pending if this.holds_back => {
                    return Poll::Ready(Some(this.flush().map_err(Into::into)));
                }
                Poll::Pending => return Poll::Pending,
            };
            if let Ok(data) = frame.into_data() {
                this.encoder.write_all(&data)?;
                this.holds_back = true;
            }
            if this.encoder.get_ref().len() >= ENOUGH {
                return Poll::Ready(Some(Ok(this.take())));
            }
        }
        Poll::Ready(None)
    }
}
