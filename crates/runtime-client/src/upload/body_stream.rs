//! A request body that a thread reads and hashes while the connection sends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::digests::{Digester, Digests};
use super::source::{Source, SourceError};

/// The number of chunks between thread and connection. A few keep both busy; more would only cost memory.
const QUEUE_DEPTH: usize = 4;

/// A request body of exactly the length of its source.
#[derive(Debug)]
pub(super) struct BodyStream {
    remaining: u64,
    queue: Arc<ChunkQueue>,
}

/// The thread that reads the source of a [`BodyStream`].
#[derive(Debug)]
pub(super) struct BodyReader {
    thread: JoinHandle<Result<Digests, SourceError>>,
    queue: Arc<ChunkQueue>,
}

#[derive(Debug)]
struct ChunkQueue {
    sent_bytes: AtomicU64,
    /// Shared, because a connection may keep the body long after its request was dropped. Closing the channel here is
    /// what ends the thread.
    chunks: Mutex<mpsc::Receiver<Bytes>>,
}

/// Starts to read `source`.
pub(super) fn start(source: Arc<Source>) -> (BodyStream, BodyReader) {
    let (sender, chunks) = mpsc::channel(QUEUE_DEPTH);
    let queue = Arc::new(ChunkQueue {
        sent_bytes: AtomicU64::new(0),
        chunks: Mutex::new(chunks),
    });
    let body = BodyStream {
        remaining: source.length(),
        queue: Arc::clone(&queue),
    };
    let thread = tokio::task::spawn_blocking(move || read(&source, &sender));
    (body, BodyReader { thread, queue })
}

fn read(source: &Source, sender: &mpsc::Sender<Bytes>) -> Result<Digests, SourceError> {
    let mut digester = Digester::new(source.length());
    source.read(|chunk| {
        digester.update(&chunk);
        // Blocks while the queue is full, which slows reading down to the speed of the connection.
        let sent = sender.blocking_send(chunk);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    })?;
    Ok(digester.finish())
}

impl BodyReader {
    /// Returns when nothing has been sent for `limit`, at the latest after twice that time.
    ///
    /// Compares a counter instead of restarting a timer with each chunk, which would cost more than sending it.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only observes.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut before = self.queue.sent_bytes.load(Ordering::Relaxed);
        loop {
            // Compared once per period instead of resetting a timer at each chunk. A stall is
            // detected after one to two periods.
            tokio::time::sleep(limit).await;
            let now = self.queue.sent_bytes.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Ends the body and returns the digests, or the error of the source. A request that is still being sent fails.
    ///
    /// # Cancel safety
    ///
    /// Safe: the thread ends when this is dropped.
    pub(super) async fn finish(mut self) -> Result<Digests, SourceError> {
        // Fails the next send of the thread, which ends it: a blocking thread cannot be cancelled.
        self.queue.chunks.lock().close();
        (&mut self.thread)
            .await
            .unwrap_or_else(|error| Err(SourceError::Read(io::Error::other(error))))
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        self.queue.chunks.lock().close();
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The lock is uncontended: only `finish` and `drop` take it too, once.
        let next = self.queue.chunks.lock().poll_recv(context);
        match ready!(next) {
            Some(chunk) => {
                let length = chunk.len() as u64;
                self.remaining = self.remaining.saturating_sub(length);
                // Relaxed: nothing else is published with the counter.
                self.queue.sent_bytes.fetch_add(length, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            None if self.remaining == 0 => Poll::Ready(None),
            // The thread ended early; `BodyReader::finish` returns its error.
            None => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        // Lets hyper complete the request with the last chunk instead of waiting for the thread to end.
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
