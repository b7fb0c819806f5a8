//! A response body that follows a log.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use runtime_ioext::LogReader;
use runtime_ioext::log::ReadLogError;

/// Follows a log until it is closed or a limit is reached.
///
/// If the log breaks, the body fails and the server aborts the connection. A clean end thus proves to the
/// client that the log is complete.
#[derive(Debug)]
pub(super) struct LogBody {
    reader: LogReader,
    remaining: u64,
}

impl LogBody {
    /// Returns a body of at most `limit` bytes.
    pub(super) fn new(reader: LogReader, limit: u64) -> Self {
        Self {
            reader,
            remaining: limit,
        }
    }
}

impl Body for LogBody {
    type Data = Bytes;
    type Error = ReadLogError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadLogError>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let Some(mut chunk) = ready!(self.reader.poll_chunk(cx)?) else {
            return Poll::Ready(None);
        };
        let limit = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        chunk.truncate(limit);
        self.remaining -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }
}
