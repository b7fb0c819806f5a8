//! Follows a log.

use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::core::Core;
use super::error::ReadLogError;
use super::fetch::{self, Fetch};
use super::state::End;
use super::wakers::WakerKey;
use crate::chunks::CHUNK;

/// Reads a [`FollowedLog`](super::FollowedLog) from an offset on, and follows it until it is closed.
///
/// A reader gets exactly the bytes that were written, in order. After the last one it waits for more,
/// until the log is closed, which is a clean end; a log that broke or was dropped without being closed
/// ends with an error instead, after everything that was accepted before. A slow reader only lags: no
/// writer waits for it, and it costs a buffer of 64 KiB at most.
///
/// At the end of the log a reader is served from memory, behind it from the file. Reads of the file that
/// might wait for a disk run on tokio's threads for blocking work; without a tokio runtime they block the
/// thread that polls.
pub struct LogReader {
    core: Arc<Core>,
    offset: u64,
    waiting: Option<WakerKey>,
    fetch: Option<Fetch>,
    /// Bytes at `offset` that were fetched and did not fit.
    fetched: Bytes,
}

/// What comes next for a reader: bytes at hand, or so many of the file.
enum Next {
    Bytes(Bytes),
    File(usize),
}

impl LogReader {
    pub(super) fn new(core: Arc<Core>, offset: u64) -> Self {
        Self {
            core,
            offset,
            waiting: None,
            fetch: None,
            fetched: Bytes::new(),
        }
    }

    /// The offset in the log of the next byte that this gives.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Waits for more, and gives it as it lies in memory; `None` after the last byte of a closed log.
    ///
    /// Followers at the end of a log share one copy of the bytes, which makes this the cheapest way to
    /// send a log to many. A chunk is not larger than 64 KiB and never empty.
    ///
    /// # Errors
    ///
    /// If the log broke or was dropped without being closed, or if its file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: if the future is dropped, the next call gives the same bytes.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadLogError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The same as [`next_chunk`](Self::next_chunk), to build other futures and streams on.
    ///
    /// # Errors
    ///
    /// The same as of `next_chunk`.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ReadLogError>> {
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let chunk = loop {
            match ready!(self.poll_next(cx))? {
                Next::Bytes(bytes) => break bytes,
                Next::File(len) => match self.read_cached(len) {
                    Some(bytes) => break bytes?,
                    None => self.fetch = Some(Fetch::start(&self.core, self.offset, len)),
                },
            }
        };
        coop.made_progress();
        self.consume(chunk.len());
        Poll::Ready(Ok((!chunk.is_empty()).then_some(chunk)))
    }

    /// Finds what comes next, and waits while nothing does. No bytes mean the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, ReadLogError>> {
        if let Some(fetch) = &mut self.fetch {
            let result = ready!(fetch.poll(cx));
            self.fetch = None;
            self.fetched = result?;
        }
        match self.fetched.is_empty() {
            true => self.poll_log(cx),
            false => Poll::Ready(Ok(Next::Bytes(self.fetched.clone()))),
        }
    }

    fn poll_log(&mut self, cx: &Context<'_>) -> Poll<Result<Next, ReadLogError>> {
        let mut state = self.core.lock();
        if self.offset < state.tail.start() {
            let ahead = state.tail.start() - self.offset;
            return Poll::Ready(Ok(Next::File(ahead.min(CHUNK as u64) as usize)));
        }
        if self.offset < state.tail.end() {
            return Poll::Ready(Ok(Next::Bytes(state.tail.read(self.offset))));
        }
        match &state.end {
            Some(End::Closed) => Poll::Ready(Ok(Next::Bytes(Bytes::new()))),
            Some(end) => Poll::Ready(Err(self.broken(end))),
            None => {
                let replaced = state.readers.register(&mut self.waiting, cx);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    fn consume(&mut self, len: usize) {
        self.offset += len as u64;
        self.fetched.advance(len.min(self.fetched.len()));
    }

    /// Reads bytes of the file that need no waiting.
    fn read_cached(&self, len: usize) -> Option<Result<Bytes, ReadLogError>> {
        let mut bytes = vec![0; len];
        let read = fetch::try_read(&self.core, self.offset, &mut bytes)?;
        Some(read.map(|n| {
            bytes.truncate(n);
            bytes.into()
        }))
    }

    /// The same, straight into the caller's buffer.
    fn read_cached_into(
        &self,
        buf: &mut ReadBuf<'_>,
        len: usize,
    ) -> Option<Result<usize, ReadLogError>> {
        let bytes = buf.initialize_unfilled_to(len.min(buf.remaining()));
        let read = fetch::try_read(&self.core, self.offset, bytes)?;
        Some(read.inspect(|&n| buf.advance(n)))
    }

    fn broken(&self, end: &End) -> ReadLogError {
        let path = self.core.path.clone();
        match end {
            End::Failed(source) => ReadLogError::Failed {
                path,
                source: Arc::clone(source),
            },
            End::Closed | End::Abandoned => ReadLogError::Abandoned { path },
        }
    }

    fn seek_to(&mut self, offset: u64) {
        self.offset = offset;
        self.fetch = None;
        self.fetched = Bytes::new();
    }

    fn resolve(&self, to: SeekFrom) -> Option<u64> {
        match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.core.lock().tail.end().checked_add_signed(by),
        }
    }
}

impl AsyncRead for LogReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let read = loop {
            match ready!(self.poll_next(cx))? {
                Next::Bytes(bytes) => {
                    let len = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..len]);
                    break len;
                }
                Next::File(len) => match self.read_cached_into(buf, len) {
                    Some(read) => break read?,
                    None => self.fetch = Some(Fetch::start(&self.core, self.offset, len)),
                },
            }
        };
        coop.made_progress();
        self.consume(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for LogReader {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let before_start = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot seek to before the start of a log",
            )
        };
        let offset = self.resolve(to).ok_or_else(before_start)?;
        self.seek_to(offset);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.offset))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        if let Some(key) = self.waiting {
            let waker = self.core.lock().readers.forget(key);
            drop(waker);
        }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("path", &self.core.path)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
