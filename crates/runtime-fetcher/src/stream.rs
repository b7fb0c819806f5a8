//! Streaming: a handler reads the bytes of a reference during the transfer.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use crate::context::FetchContext;
use crate::error::FetchError;
use crate::reference::Reference;
use crate::target::{Target, TargetError};

/// The number of chunks buffered for the handler. A chunk is one read from the connection.
const BUFFERED_CHUNKS: usize = 4;

/// Fetches a reference and streams its bytes to `handler`.
///
/// The handler reads from a [`FetchStream`], which ends only if the bytes are complete and verified. When the fetch
/// has to start over, the stream breaks with [`StreamBroken::Reset`]: the handler should return, and is called again
/// with a new stream. When the fetch fails, the stream breaks with [`StreamBroken::Failed`]. In both cases the fetch
/// waits for the handler to return.
///
/// A handler may return `Ok` at any time, even after its stream broke. Its value is the result, and the fetch ends.
/// The bytes it has read are then unverified.
///
/// ```
/// use runtime_core::Services;
/// use runtime_fetcher::stream::fetch_as_stream;
/// use runtime_fetcher::{FetchConfig, FetchContext, Fetcher, HttpClient, RawFetcher};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let http = HttpClient::new(FetchConfig::default())?;
/// let context = FetchContext::new(http, Services::disconnected());
/// let reference = RawFetcher.resolve(&context, &serde_json::json!({ "raw": "hello" })).await?;
///
/// let text = fetch_as_stream(&*reference, &context, async |mut stream| {
///     let mut text = String::new();
///     stream.read_to_string(&mut text).await?;
///     Ok::<_, std::io::Error>(text)
/// });
/// assert_eq!(text.await?, "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`StreamError::Handler`] with the handler's error, unless its stream had broken, else [`StreamError::Fetch`].
///
/// # Cancel safety
///
/// Safe: dropping the future drops the handler and ends the transfer. A stream that the handler passed to another
/// task breaks with [`StreamBroken::Cancelled`].
pub async fn fetch_as_stream<T, E>(
    reference: &dyn Reference,
    context: &FetchContext,
    handler: impl AsyncFnMut(FetchStream) -> Result<T, E>,
) -> Result<T, StreamError<E>> {
    let (streams, to_handle) = mpsc::unbounded_channel();
    let mut target = StreamTarget::new(streams);
    let mut handled = pin!(handle(to_handle, handler));
    let fetched = {
        let fetch = reference.fetch(context, &mut target);
        tokio::select! {
            // If both have ended, the result of the handler counts.
            biased;
            Some(outcome) = &mut handled => return outcome.map_err(StreamError::Handler),
            fetched = fetch => fetched,
        }
    };
    // The handler may still be processing its last bytes. Closing the target ends the sequence of streams.
    match fetched {
        Ok(_) => drop(target),
        Err(_) => target.fail(),
    }
    match (handled.await, fetched) {
        (Some(outcome), _) => outcome.map_err(StreamError::Handler),
        (None, Err(error)) => Err(StreamError::Fetch(error)),
        (None, Ok(_)) => unreachable!("a complete stream is not broken"),
    }
}

/// Calls the handler with each stream until it returns a result of its own; `None` if there are no more streams.
async fn handle<T, E>(
    mut streams: mpsc::UnboundedReceiver<FetchStream>,
    mut handler: impl AsyncFnMut(FetchStream) -> Result<T, E>,
) -> Option<Result<T, E>> {
    while let Some(stream) = streams.recv().await {
        let broken = Arc::clone(&stream.broken);
        match handler(stream).await {
            // The error of the handler is a consequence of the broken stream.
            Err(_) if broken.get().is_some() => {}
            outcome => return Some(outcome),
        }
    }
    None
}

/// The stream of bytes that the handler of [`fetch_as_stream`] reads.
///
/// Implements [`AsyncRead`], with a [`StreamBroken`] as the source of its errors. [`chunk`](Self::chunk) returns bytes
/// without copying.
pub struct FetchStream {
    items: mpsc::Receiver<Item>,
    current: Bytes,
    end: Option<Result<(), StreamBroken>>,
    broken: Arc<OnceLock<StreamBroken>>,
}

enum Item {
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

/// The reason [`fetch_as_stream`] failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E> {
    /// The fetch failed.
    #[error(transparent)]
    Fetch(FetchError),
    /// The handler failed.
    #[error("the handler of the stream failed")]
    Handler(#[source] E),
}

impl FetchStream {
    fn new() -> (StreamWriter, Self) {
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
                Some(Item::End) => Ok(()),
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
struct StreamWriter {
    sender: mpsc::Sender<Item>,
    broken: Arc<OnceLock<StreamBroken>>,
    is_used: bool,
}

/// A target that opens a stream for each pass over the bytes.
struct StreamTarget {
    streams: mpsc::UnboundedSender<FetchStream>,
    writer: StreamWriter,
}

impl StreamTarget {
    fn new(streams: mpsc::UnboundedSender<FetchStream>) -> Self {
        let writer = open(&streams);
        Self { streams, writer }
    }

    /// Breaks the current stream because the fetch failed.
    fn fail(self) {
        self.writer.break_stream(StreamBroken::Failed);
    }
}

fn open(streams: &mpsc::UnboundedSender<FetchStream>) -> StreamWriter {
    let (writer, stream) = FetchStream::new();
    // The receiver is dropped only together with the fetch.
    let _ = streams.send(stream);
    writer
}

impl StreamWriter {
    async fn send(&mut self, item: Item) {
        self.is_used = true;
        if self.sender.send(item).await.is_err() {
            // The handler dropped its stream and has not returned yet. Its result ends the fetch.
            std::future::pending::<()>().await;
        }
    }

    /// Breaks the stream: a pending read fails when the writer is dropped, others at once.
    fn break_stream(&self, reason: StreamBroken) {
        self.broken.get_or_init(|| reason);
    }
}

#[async_trait]
impl Target for StreamTarget {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        // An empty read means the end of a stream.
        if !bytes.is_empty() {
            self.writer.send(Item::Bytes(bytes)).await;
        }
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        if self.writer.is_used {
            self.writer.break_stream(StreamBroken::Reset);
            self.writer = open(&self.streams);
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.writer.send(Item::End).await;
        Ok(())
    }
}
