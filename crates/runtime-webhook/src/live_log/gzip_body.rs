//! A response body that is compressed while it is written.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body, Frame};
use runtime_core::BoxError;

/// Compressed bytes that are sent without waiting for more.
const FRAME_BYTES: usize = 32 * 1024;

/// A body compressed with gzip, flushed whenever the inner body has no data.
///
/// An encoder buffers its input for a better ratio. Without the flush, the viewer of a live log would see a
/// line only when later lines fill the buffer.
pub(super) struct GzipBody<B> {
    inner: B,
    encoder: GzEncoder<Vec<u8>>,
    /// Whether the encoder has buffered input.
    needs_flush: bool,
    has_ended: bool,
}

impl<B> GzipBody<B> {
    pub(super) fn new(inner: B) -> Self {
        Self {
            inner,
            // Logs shrink to about a tenth already at the fastest level.
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            needs_flush: false,
            has_ended: false,
        }
    }

    fn take_output(&mut self) -> Frame<Bytes> {
        Frame::data(std::mem::take(self.encoder.get_mut()).into())
    }

    fn flush(&mut self) -> io::Result<Frame<Bytes>> {
        self.encoder.flush()?;
        self.needs_flush = false;
        Ok(self.take_output())
    }

    fn finish(&mut self) -> io::Result<Frame<Bytes>> {
        self.encoder.try_finish()?;
        self.has_ended = true;
        Ok(self.take_output())
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
                // The log is idle. Without a flush, its last lines would stay in the encoder.
                Poll::Pending if this.needs_flush => {
                    return Poll::Ready(Some(this.flush().map_err(Into::into)));
                }
                Poll::Pending => return Poll::Pending,
            };
            if let Ok(data) = frame.into_data() {
                this.encoder.write_all(&data)?;
                this.needs_flush = true;
            }
            // While the log has data, output is sent in large frames; `Pending` above flushes a partial one.
            if this.encoder.get_ref().len() >= FRAME_BYTES {
                return Poll::Ready(Some(Ok(this.take_output())));
            }
        }
        Poll::Ready(None)
    }
}
