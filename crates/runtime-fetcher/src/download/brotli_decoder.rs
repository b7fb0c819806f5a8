//! Decoding of brotli.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// A decoder of a brotli body. Bytes after the end of the compressed stream are not read.
///
/// The decoder of `async-compression` is not used because it depends on brotli's encoder, which takes seconds to compile.
pub(super) struct BrotliDecoder<R> {
    reader: R,
    /// On the heap, because it takes some 2.5 kB.
    decoder: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    /// Whether the decoder has output that did not fit into the last buffer.
    has_output: bool,
    has_ended: bool,
}

impl<R: AsyncBufRead> BrotliDecoder<R> {
    pub(super) fn new(reader: R) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            reader,
            decoder: Box::new(BrotliState::new(alloc(), alloc(), alloc())),
            has_output: false,
            has_ended: false,
        }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for BrotliDecoder<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.has_ended && buffer.remaining() > 0 {
            // Output that exists does not wait for further input.
            let input = if this.has_output {
                &[]
            } else {
                ready!(Pin::new(&mut this.reader).poll_fill_buf(cx))?
            };
            let is_truncated = input.is_empty() && !this.has_output;
            let output = buffer.initialize_unfilled();
            let (mut read, mut written) = (0, 0);
            let result = BrotliDecompressStream(
                &mut input.len(),
                &mut read,
                input,
                &mut output.len(),
                &mut written,
                output,
                &mut 0,
                &mut this.decoder,
            );
            buffer.advance(written);
            Pin::new(&mut this.reader).consume(read);
            this.has_output = matches!(result, BrotliResult::NeedsMoreOutput);
            match result {
                BrotliResult::ResultSuccess => this.has_ended = true,
                BrotliResult::ResultFailure => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, "invalid brotli data");
                    return Poll::Ready(Err(error));
                }
                BrotliResult::NeedsMoreInput if is_truncated => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if written > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
