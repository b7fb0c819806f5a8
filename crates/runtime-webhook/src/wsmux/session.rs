//! Opens and accepts the streams of a session.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::config::{Role, SessionConfig};
use super::driver::Driver;
use super::error::OpenStreamError;
use super::session_state::{SessionState, SharedState};
use super::stream::Stream;

/// A handle to one end of a session. Clones refer to the same session.
///
/// The session makes progress only while its [`Driver`] is polled.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<SharedState>,
}

impl Session {
    /// Starts a session on a connection after its WebSocket handshake.
    ///
    /// # Cancel safety
    ///
    /// The future completes at once.
    pub async fn start<S: AsyncRead + AsyncWrite + Unpin>(
        connection: S,
        role: Role,
        config: SessionConfig,
    ) -> (Self, Driver<S>) {
        let shared = Arc::new(SharedState::new(role, config.clone()));
        let driver = Driver::new(connection, role, &config, Arc::clone(&shared));
        (Self { shared }, driver)
    }

    /// Accepts the next stream of the peer. Returns `None` when the session is closing or has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: no stream is lost.
    pub async fn accept(&self) -> Option<Stream> {
        let id = poll_fn(|cx| {
            self.shared.with(|state| match state.accept() {
                Some(id) => Poll::Ready(Some(id)),
                None if state.has_ended || state.is_closing => Poll::Ready(None),
                None => {
                    state.acceptor = Some(cx.waker().clone());
                    Poll::Pending
                }
            })
        });
        let id = id.await?;
        Some(Stream::new(Arc::clone(&self.shared), id))
    }

    /// Opens a stream and waits until the peer accepts it.
    ///
    /// Servers of websocktunnel refuse all streams.
    ///
    /// # Errors
    ///
    /// An [`OpenStreamError`] if the peer does not accept the stream or the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: the stream is ended.
    pub async fn open(&self) -> Result<Stream, OpenStreamError> {
        let (id, limit) = self
            .shared
            .with(|state| state.open().map(|id| (id, state.config.open_timeout)))?;
        // Created before the wait, so that dropping the future ends the stream.
        let stream = Stream::new(Arc::clone(&self.shared), id);
        // The opener cannot write before the ACK: it does not know the window of the peer.
        let accepted = poll_fn(|cx| self.shared.with(|state| poll_accepted(state, id, cx)));
        match timeout(limit, accepted).await {
            Ok(result) => result.map(|()| stream),
            Err(_) => Err(OpenStreamError::Timeout {
                seconds: limit.as_secs(),
            }),
        }
    }

    /// Starts closing the session: no more streams are opened or accepted.
    ///
    /// After the last stream the driver sends a close frame. It ends when the peer has closed the connection,
    /// or a second later.
    pub fn close(&self) {
        self.shared.with(SessionState::close);
    }
}

fn poll_accepted(
    state: &mut SessionState,
    id: u32,
    cx: &Context<'_>,
) -> Poll<Result<(), OpenStreamError>> {
    let has_ended = state.has_ended;
    match state.streams.get_mut(&id) {
        Some(stream) if stream.send.credit.is_some() => Poll::Ready(Ok(())),
        Some(stream) if stream.recv.has_ended => Poll::Ready(Err(OpenStreamError::Refused)),
        Some(stream) if !has_ended => {
            stream.send.writer = Some(cx.waker().clone());
            Poll::Pending
        }
        _ => Poll::Ready(Err(OpenStreamError::Ended)),
    }
}
