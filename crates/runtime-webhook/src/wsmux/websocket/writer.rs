//! Writes encoded frames.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::message::EncodedFrame;

/// The number of queued bytes above which frames are written before others are queued.
const QUEUE_BYTES: usize = 128 * 1024;

/// The maximum number of frames per write.
const MAX_SLICES: usize = 64;

/// A queue of encoded frames.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    frames: VecDeque<EncodedFrame>,
    queued_bytes: usize,
    /// Whether bytes were written since the last flush of the connection.
    pub(super) needs_flush: bool,
}

impl FrameWriter {
    pub(super) fn has_capacity(&self) -> bool {
        self.queued_bytes < QUEUE_BYTES
    }

    pub(super) fn push(&mut self, frame: EncodedFrame) {
        self.queued_bytes += frame.remaining().len();
        self.frames.push_back(frame);
    }

    /// Writes and returns ready once the queue is empty.
    pub(super) fn poll_write(
        &mut self,
        connection: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(frame.remaining());
            }
            let slices = &slices[..self.frames.len().min(MAX_SLICES)];
            let count = ready!(Pin::new(&mut *connection).poll_write_vectored(cx, slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.needs_flush = true;
            self.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        self.queued_bytes -= count;
        while let Some(frame) = self.frames.front_mut() {
            let len = frame.remaining().len();
            if count < len {
                frame.advance(count);
                return;
            }
            count -= len;
            self.frames.pop_front();
        }
    }
}
