//! A target that is a program: somebody reads the bytes while they come.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::{Target, TargetError};
use crate::{FetchContext, FetchError, Reference};

/// How many pieces wait for the handler; a piece is what came in one read from the connection.
const PIECES: usize = 4;

/// Gives the bytes of a reference to `handler` while they come.
///
/// The handler reads from a [`FetchStream`], whose end says that the bytes were complete and verified. When
/// the fetch must start over, the handler's stream breaks with [`StreamBroken::Reset`]; it should then
/// return, and is called again with a new stream. When the fetch fails, it breaks with
/// [`StreamBroken::Failed`]. Either way the fetch waits until the handler has returned.
///
/// A handler that has enough may return `Ok` whenever it likes, also after its stream broke: that is the
/// result, and the fetch ends there. What it has read was then not verified.
///
/// ```
/// use runtime_core::Services;
/// use runtime_fetcher::{FetchConfig, FetchContext, Fetcher, HttpClient, RawFetcher, fetch_as_stream};
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
/// [`StreamError::Handler`] with the handler's error, unless its stream had broken; else
/// [`StreamError::Fetch`].
///
/// # Cancel safety
///
/// Safe: dropping the future drops the handler's and ends the transfer. A stream that the handler gave
/// to somebody else breaks with [`StreamBroken::Cancelled`].
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
            // What the handler says counts when both have ended.
            biased;
            Some(outcome) = &mut handled => return outcome.map_err(StreamError::Handler),
            fetched = fetch => fetched,
        }
    };
    // The handler may have more to do with what it read. No other stream will come.
    match fetched {
        Ok(_) => drop(target),
        Err(_) => target.fail(),
    }
    match (handled.await, fetched) {
        (Some(outcome), _) => outcome.map_err(StreamError::Handler),
        (None, Err(error)) => Err(StreamError::Fetch(error)),
        (None, Ok(_)) => unreachable!("a stream that ended well did not break"),
    }
}

/// Calls the handler with stream after stream, until it ends by its own word; `None` if no more come.
async fn handle<T, E>(
    mut streams: mpsc::UnboundedReceiver<FetchStream>,
    mut handler: impl AsyncFnMut(FetchStream) -> Result<T, E>,
) -> Option<Result<T, E>> {
    while let Some(stream) = streams.recv().await {
        let broken = Arc::clone(&stream.broken);
        match handler(stream).await {
            // Whatever it says, it says so because its stream broke.
            Err(_) if broken.get().is_some() => {}
            outcome => return Some(outcome),
        }
    }
    None
}

/// The bytes of a reference, on their way to a handler of [`fetch_as_stream`].
///
/// It is an [`AsyncRead`], whose errors hold a [`StreamBroken`]; [`chunk`](Self::chunk) gives the bytes
/// without a copy.
pub struct FetchStream {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    end: Option<Result<(), StreamBroken>>,
    broken: Arc<OnceLock<StreamBroken>>,
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// A stream ended, and its bytes are not those of the reference, or not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamBroken {
    /// The fetch starts over, with another stream from the first byte.
    #[error("the fetch starts over with another stream")]
    Reset,
    /// The fetch failed.
    #[error("the fetch failed")]
    Failed,
    /// Nobody wants the bytes any more.
    #[error("the fetch was cancelled")]
    Cancelled,
}

/// A reference was not given to a handler as a whole, or the handler failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E> {
    /// The bytes cannot be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// The handler failed.
    #[error("the receiver of the bytes failed")]
    Handler(#[source] E),
}

impl FetchStream {
    fn new() -> (Writer, Self) {
        let (sender, pieces) = mpsc::channel(PIECES);
        let broken = Arc::new(OnceLock::new());
        let stream = Self {
            pieces,
            current: Bytes::new(),
            end: None,
            broken: Arc::clone(&broken),
        };
        let writer = Writer {
            sender,
            broken,
            is_used: false,
        };
        (writer, stream)
    }

    /// The next bytes, or `None` when they were all there are, complete and verified.
    ///
    /// # Errors
    ///
    /// [`StreamBroken`], again at every call.
    ///
    /// # Cancel safety
    ///
    /// Safe: no bytes are lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StreamBroken> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamBroken>> {
        // What has not been read yet of a broken stream is of no use.
        if let Some(broken) = self.broken.get() {
            return Poll::Ready(Err(*broken));
        }
        if !self.current.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.current))));
        }
        let end = match self.end {
            Some(end) => end,
            None => match ready!(self.pieces.poll_recv(cx)) {
                Some(Piece::Bytes(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Some(Piece::End) => Ok(()),
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

/// The other end of a [`FetchStream`].
struct Writer {
    sender: mpsc::Sender<Piece>,
    broken: Arc<OnceLock<StreamBroken>>,
    is_used: bool,
}

/// Opens a stream for each pass over the bytes.
struct StreamTarget {
    streams: mpsc::UnboundedSender<FetchStream>,
    writer: Writer,
}

impl StreamTarget {
    fn new(streams: mpsc::UnboundedSender<FetchStream>) -> Self {
        let writer = open(&streams);
        Self { streams, writer }
    }

    /// Tells the handler that no more comes, and that the fetch failed.
    fn fail(self) {
        self.writer.give_up(StreamBroken::Failed);
    }
}

fn open(streams: &mpsc::UnboundedSender<FetchStream>) -> Writer {
    let (writer, stream) = FetchStream::new();
    // The receiver is gone only when the fetch is about to be dropped.
    let _ = streams.send(stream);
    writer
}

impl Writer {
    async fn send(&mut self, piece: Piece) {
        self.is_used = true;
        if self.sender.send(piece).await.is_err() {
            // The handler wants no more and has not returned yet. What it returns ends the fetch.
            std::future::pending::<()>().await;
        }
    }

    /// The handler hears of it when this is dropped, or at its next read.
    fn give_up(&self, why: StreamBroken) {
        self.broken.get_or_init(|| why);
    }
}

#[async_trait]
impl Target for StreamTarget {
    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        // An empty read would look like the end.
        if !bytes.is_empty() {
            self.writer.send(Piece::Bytes(bytes)).await;
        }
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        if self.writer.is_used {
            self.writer.give_up(StreamBroken::Reset);
            self.writer = open(&self.streams);
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.writer.send(Piece::End).await;
        Ok(())
    }
}
