//! The stream that a handler reads, and its write half.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// The number of chunks buffered for the handler. A chunk is one read from the connection.
const BUFFERED_CHUNKS: usize = 4;

/// The stream of bytes that the handler of [`fetch_as_stream`](super::fetch_as_stream) reads.
///
/// Implements [`AsyncRead`], with a [`StreamBroken`] as the source of its errors. [`chunk`](Self::chunk) returns bytes
/// without copying.
pub struct FetchStream {
    items: mpsc::Receiver<Item>,
    current: Bytes,
    end: Option<Result<(), StreamBroken>>,
    pub(super) broken: Arc<OnceLock<StreamBroken>>,
}

pub(super) enum Item {
    Bytes(Bytes),
    End,
}

/// The reason a stream ended before its bytes were complete and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamBroken {
    /// The fetch starts over with another stream.
    #[error("the fetch starts over with another stream")]
    Reset,
    /// The fetch failed.
    #[error("the fetch failed")]
    Failed,
    /// The fetch was dropped.
    #[error("the fetch was cancelled")]
    Cancelled,
}

impl FetchStream {
    pub(super) fn new() -> (StreamWriter, Self) {
        let (sender, items) = mpsc::channel(BUFFERED_CHUNKS);
        let broken = Arc::new(OnceLock::new());
        let stream = Self {
            items,
            current: Bytes::new(),
            end: None,
            broken: Arc::clone(&broken),
        };
        let writer = StreamWriter {
            sender,
            broken,
            is_used: false,
        };
        (writer, stream)
    }

    /// Returns the next bytes, or `None` at the end, when all bytes are complete and verified.
    ///
    /// # Errors
    ///
    /// [`StreamBroken`], and the same on every later call.
    ///
    /// # Cancel safety
    ///
    /// Safe: no bytes are lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StreamBroken> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamBroken>> {
        // Checked first: buffered bytes of a broken stream are useless.
        if let Some(broken) = self.broken.get() {
            return Poll::Ready(Err(*broken));
        }
        if !self.current.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.current))));
        }
        let end = match self.end {
            Some(end) => end,
            None => match ready!(self.items.poll_recv(cx)) {
                Some(Item::Bytes(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                // An item, because the channel also closes when the fetch is dropped.
                Some(Item::End) => Ok(()),
                // Read again: the writer may have set the reason after the check above, before it
                // was dropped.
                None => Err(self
                    .broken
                    .get()
                    .copied()
                    .unwrap_or(StreamBroken::Cancelled)),
            },
        };
        self.end = Some(end);
        Poll::Ready(end.map(|()| None))
    }
}

impl AsyncRead for FetchStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut bytes) = ready!(self.poll_chunk(cx)).map_err(io::Error::other)? {
            let length = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes.split_to(length));
            self.current = bytes;
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for FetchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchStream")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// The write half of a [`FetchStream`].
pub(super) struct StreamWriter {
    sender: mpsc::Sender<Item>,
    broken: Arc<OnceLock<StreamBroken>>,
    pub(super) is_used: bool,
}

impl StreamWriter {
    pub(super) async fn send(&mut self, item: Item) {
        self.is_used = true;
        if self.sender.send(item).await.is_err() {
            // The handler dropped its stream and has not returned yet. Its result ends the fetch.
            std::future::pending::<()>().await;
        }
    }

    /// Breaks the stream: a pending read fails when the writer is dropped, others at once.
    pub(super) fn break_stream(&self, reason: StreamBroken) {
        self.broken.get_or_init(|| reason);
    }
}
