//! Decoding of gzip with several members and padding.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// A decoder of all members of a gzip body.
///
/// RFC 1952 allows several members. A decoder that stops after the first would truncate the body. NULs after a member are
/// skipped, as gzip does: tools that write in blocks pad their files.
pub(super) struct GzipMembers<R> {
    state: State<R>,
}

enum State<R> {
    Member(Box<GzipDecoder<R>>),
    /// Between a member and the next one, or the end.
    Padding(R),
    End,
}

impl<R: AsyncBufRead> GzipMembers<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            state: State::Member(Box::new(GzipDecoder::new(reader))),
        }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for GzipMembers<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let has_ended = match &mut self.state {
                State::Member(decoder) => {
                    let filled = buffer.filled().len();
                    ready!(Pin::new(&mut **decoder).poll_read(cx, buffer))?;
                    if buffer.filled().len() > filled || buffer.remaining() == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    false
                }
                State::Padding(reader) => {
                    let bytes = ready!(Pin::new(&mut *reader).poll_fill_buf(cx))?;
                    // Zeros between and after members are padding, for example of tapes. The gzip
                    // program skips them too.
                    let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
                    let (has_ended, is_padding) = (bytes.is_empty(), nuls == bytes.len());
                    Pin::new(reader).consume(nuls);
                    if is_padding && !has_ended {
                        continue;
                    }
                    has_ended
                }
                State::End => return Poll::Ready(Ok(())),
            };
            self.state = match std::mem::replace(&mut self.state, State::End) {
                State::Member(decoder) => State::Padding(decoder.into_inner()),
                State::Padding(reader) if !has_ended => {
                    State::Member(Box::new(GzipDecoder::new(reader)))
                }
                State::Padding(_) | State::End => State::End,
            };
        }
    }
}
