//! Brings bytes from a thread that reads and hashes them to the connection that sends them.

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
use super::source::{Fault, Source};

/// How many chunks may wait between thread and connection.
const WAITING: usize = 4;

/// The body of a request, of exactly the length of its source.
#[derive(Debug)]
pub(super) struct Feed {
    left: u64,
    shared: Arc<Shared>,
}

/// The reading end of a feed: ends it and tells what was read.
#[derive(Debug)]
pub(super) struct Reading {
    thread: JoinHandle<Result<Digests, Fault>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sent: AtomicU64,
    /// Not in the feed, which a connection may keep for long after its request was given up.
    chunks: Mutex<mpsc::Receiver<Bytes>>,
}

/// Starts to read `source`.
pub(super) fn start(source: Arc<Source>) -> (Feed, Reading) {
    let (sender, chunks) = mpsc::channel(WAITING);
    let shared = Arc::new(Shared {
        sent: AtomicU64::new(0),
        chunks: Mutex::new(chunks),
    });
    let feed = Feed {
        left: source.length(),
        shared: Arc::clone(&shared),
    };
    let thread = tokio::task::spawn_blocking(move || read(&source, &sender));
    (feed, Reading { thread, shared })
}

fn read(source: &Source, sender: &mpsc::Sender<Bytes>) -> Result<Digests, Fault> {
    let mut digester = Digester::new(source.length());
    source.read(|chunk| {
        digester.update(&chunk);
        let sent = sender.blocking_send(chunk);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    })?;
    Ok(digester.finish())
}

impl Reading {
    /// Returns when nothing has been sent for at least `limit`, and at most twice that.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only watches.
    pub(super) async fn stalled(&self, limit: Duration) {
        let mut before = self.shared.sent.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(limit).await;
            let now = self.shared.sent.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Ends the feed, which breaks off a request that still wants bytes, and tells what was read.
    ///
    /// # Cancel safety
    ///
    /// The thread ends on its own when this is dropped.
    pub(super) async fn end(mut self) -> Result<Digests, Fault> {
        self.shared.chunks.lock().close();
        (&mut self.thread)
            .await
            .unwrap_or_else(|error| Err(Fault::Read(io::Error::other(error))))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.shared.chunks.lock().close();
    }
}

impl Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.shared.chunks.lock().poll_recv(context);
        match ready!(next) {
            Some(chunk) => {
                let length = chunk.len() as u64;
                self.left = self.left.saturating_sub(length);
                self.shared.sent.fetch_add(length, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            None if self.left == 0 => Poll::Ready(None),
            // The thread has stopped early and says why to whoever ends the reading.
            None => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
