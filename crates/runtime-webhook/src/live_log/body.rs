//! The bytes of a log as the body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use runtime_ioext::LogReader;
use runtime_ioext::log::ReadLogError;

/// Follows a log until it is closed or enough of it was sent.
///
/// If the log breaks, so does the body, and the server aborts the connection: a client that gets a
/// clean end knows that it has everything.
#[derive(Debug)]
pub(super) struct LogBody {
    reader: LogReader,
    left: u64,
}

impl LogBody {
    /// Gives at most `limit` bytes.
    pub(super) fn new(reader: LogReader, limit: u64) -> Self {
        Self {
            reader,
            left: limit,
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
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(mut chunk) = ready!(self.reader.poll_chunk(cx)?) else {
            return Poll::Ready(None);
        };
        let len = usize::try_from(self.left).map_or(chunk.len(), |left| left.min(chunk.len()));
        chunk.truncate(len);
        self.left -= len as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}
