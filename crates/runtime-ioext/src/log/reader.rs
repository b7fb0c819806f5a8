//! The reader of a log.

use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::disk_read::{self, DiskRead};
use super::error::ReadLogError;
use super::shared::SharedLog;
use super::state::End;
use super::wakers::WakerKey;
use crate::segments::SEGMENT_SIZE;

/// Reads a [`FollowedLog`](super::FollowedLog) from an offset, and follows it until it is closed.
///
/// A reader returns exactly the written bytes, in order. At the end of an open log it waits. A closed log
/// ends cleanly; a log that failed or was dropped without a close ends with an error after all accepted
/// bytes. A slow reader only lags: writers never wait for it, and it uses at most one buffer of 64 KiB.
///
/// Bytes that are not in the file yet are read from memory, others from the file. File reads that may
/// block run on tokio's blocking threads; without a tokio runtime, they block the polling thread.
pub struct LogReader {
    shared: Arc<SharedLog>,
    offset: u64,
    waiting: Option<WakerKey>,
    disk_read: Option<DiskRead>,
    /// Bytes at `offset` that were read from the disk but not returned yet.
    disk_bytes: Bytes,
}

/// The next bytes for a reader: in memory, or a length to read from the file.
enum Next {
    Bytes(Bytes),
    File(usize),
}

impl LogReader {
    pub(super) fn new(shared: Arc<SharedLog>, offset: u64) -> Self {
        Self {
            shared,
            offset,
            waiting: None,
            disk_read: None,
            disk_bytes: Bytes::new(),
        }
    }

    /// Returns the offset of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next bytes without copying them; `None` after the last byte of a closed log.
    ///
    /// A chunk has 1 to 65 536 bytes. Followers at the end of a log share one copy, which makes this the
    /// cheapest way to send a log to many clients.
    ///
    /// # Errors
    ///
    /// If the log failed or was dropped without a close, or if its file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns the same bytes.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, ReadLogError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Poll version of [`next_chunk`](Self::next_chunk), for custom futures and streams.
    ///
    /// # Errors
    ///
    /// If the log failed or was dropped without a close, or if its file cannot be read.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ReadLogError>> {
        // A reader that is behind is always ready: without the budget, it would starve other tasks.
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let chunk = loop {
            match ready!(self.poll_next(cx))? {
                Next::Bytes(bytes) => break bytes,
                Next::File(len) => match self.read_cached(len) {
                    Some(bytes) => break bytes?,
                    None => self.disk_read = Some(DiskRead::start(&self.shared, self.offset, len)),
                },
            }
        };
        // Without this call, the drop of `coop` gives the budget back, as it does for a read that
        // has to wait.
        coop.made_progress();
        self.consume(chunk.len());
        Poll::Ready(Ok((!chunk.is_empty()).then_some(chunk)))
    }

    /// Returns the next bytes or the length to read from the file. An empty chunk is the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, ReadLogError>> {
        if let Some(disk_read) = &mut self.disk_read {
            let result = ready!(disk_read.poll(cx));
            self.disk_read = None;
            self.disk_bytes = result?;
        }
        if self.disk_bytes.is_empty() {
            self.poll_log(cx)
        } else {
            Poll::Ready(Ok(Next::Bytes(self.disk_bytes.clone())))
        }
    }

    fn poll_log(&mut self, cx: &Context<'_>) -> Poll<Result<Next, ReadLogError>> {
        let mut state = self.shared.lock();
        // Memory starts where the file ends. The bytes before it were flushed before they were removed.
        if self.offset < state.tail.start() {
            let ahead = state.tail.start() - self.offset;
            return Poll::Ready(Ok(Next::File(ahead.min(SEGMENT_SIZE as u64) as usize)));
        }
        if self.offset < state.tail.end() {
            return Poll::Ready(Ok(Next::Bytes(state.tail.read(self.offset))));
        }
        match &state.end {
            Some(End::Closed) => Poll::Ready(Ok(Next::Bytes(Bytes::new()))),
            Some(end) => Poll::Ready(Err(self.broken(end))),
            None => {
                // Registered under the lock of the check, so that no append in between is missed.
                let replaced = state.readers.register(&mut self.waiting, cx);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    fn consume(&mut self, len: usize) {
        self.offset += len as u64;
        self.disk_bytes.advance(len.min(self.disk_bytes.len()));
    }

    /// Reads bytes from the page cache; `None` if the read could block.
    fn read_cached(&self, len: usize) -> Option<Result<Bytes, ReadLogError>> {
        let mut bytes = vec![0; len];
        let read = disk_read::try_read(&self.shared, self.offset, &mut bytes)?;
        Some(read.map(|n| {
            bytes.truncate(n);
            bytes.into()
        }))
    }

    /// Like [`read_cached`](Self::read_cached), but reads into the caller's buffer.
    fn read_cached_into(
        &self,
        buf: &mut ReadBuf<'_>,
        len: usize,
    ) -> Option<Result<usize, ReadLogError>> {
        let bytes = buf.initialize_unfilled_to(len.min(buf.remaining()));
        let read = disk_read::try_read(&self.shared, self.offset, bytes)?;
        Some(read.inspect(|&n| buf.advance(n)))
    }

    fn broken(&self, end: &End) -> ReadLogError {
        let path = self.shared.path.clone();
        match end {
            End::Failed(source) => ReadLogError::Failed {
                path,
                source: Arc::clone(source),
            },
            End::Closed | End::Abandoned => ReadLogError::Abandoned { path },
        }
    }

    fn seek_to(&mut self, offset: u64) {
        // A read for the old offset is useless, and its result must not be returned for the new one.
        self.offset = offset;
        self.disk_read = None;
        self.disk_bytes = Bytes::new();
    }

    fn resolve(&self, to: SeekFrom) -> Option<u64> {
        match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.shared.lock().tail.end().checked_add_signed(by),
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
                    None => self.disk_read = Some(DiskRead::start(&self.shared, self.offset, len)),
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
                "cannot seek before the start of a log",
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
            let waker = self.shared.lock().readers.remove(key);
            drop(waker);
        }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("path", &self.shared.path)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
