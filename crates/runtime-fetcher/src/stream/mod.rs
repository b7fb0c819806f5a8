//! Streaming: a handler reads the bytes of a reference during the transfer.

mod fetch_stream;

pub use fetch_stream::{FetchStream, StreamBroken};

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::context::FetchContext;
use crate::error::FetchError;
use crate::reference::Reference;
use crate::target::{Target, TargetError};
use fetch_stream::{Item, StreamWriter};

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
        // Even if the fetch has failed: the handler may have returned before the end, and needs no
        // more bytes.
        (Some(outcome), _) => outcome.map_err(StreamError::Handler),
        (None, Err(error)) => Err(StreamError::Fetch(error)),
        (None, Ok(_)) => unreachable!("a complete stream is not broken"),
    }
}

/// Calls the handler with one stream after the other. Ignores an error that a broken stream caused. Returns `None` if no
/// stream follows it.
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
