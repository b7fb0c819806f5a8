//! Moves the frames of a session over its connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use runtime_core::clock::ticks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{self, CloseFrame, WebSocketConfig};

use super::close_handshake::CloseHandshake;
use super::config::{Role, SessionConfig};
use super::error::SessionError;
use super::session_state::{SessionState, SharedState};

/// The size of the WebSocket's read and write buffers.
///
/// Larger ones cost more than the system calls that they save: the WebSocket zeroes the read buffer before
/// each read, and moves the remaining bytes of the write buffer after each partial write.
const BUFFER_BYTES: usize = 64 * 1024;

/// The maximum number of messages in one direction before the other direction gets its turn.
const MESSAGES_PER_TURN: usize = 32;

/// The maximum number of turns per poll before other tasks get theirs.
const TURNS_PER_POLL: usize = 8;

/// The future that runs a session; it completes when the session ends.
///
/// The result is `Ok` after [`Session::close`](super::Session::close), and otherwise the reason for the end.
/// Dropping the driver closes the connection, and all streams fail.
#[derive(Debug)]
#[must_use = "a session makes no progress unless its driver is polled"]
pub struct Driver<S> {
    shared: Arc<SharedState>,
    websocket: WebSocketStream<S>,
    pings: Interval,
    /// Whether a message was received since the last ping.
    received_since_ping: bool,
    /// Whether messages may remain in the write buffer of the WebSocket.
    needs_flush: bool,
    /// The close handshake, once the session has ended.
    closing: Option<CloseHandshake>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) async fn new(
        connection: S,
        role: Role,
        config: &SessionConfig,
        shared: Arc<SharedState>,
    ) -> Self {
        let mut pings = ticks(config.ping_interval);
        // Without `Delay`, missed ticks follow each other at once, and the peer has no time to respond in between.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let role = match role {
            Role::Client => protocol::Role::Client,
            Role::Server => protocol::Role::Server,
        };
        let limits = Some(websocket_config(config));
        Self {
            shared,
            websocket: WebSocketStream::from_raw_socket(connection, role, limits).await,
            pings,
            received_since_ping: true,
            needs_flush: false,
            closing: None,
        }
    }

    /// Receives one turn of messages. Returns whether there may be more.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..MESSAGES_PER_TURN {
            match Pin::new(&mut self.websocket).poll_next(cx) {
                Poll::Ready(Some(message)) => self.receive(message?)?,
                Poll::Ready(None) => return Err(SessionError::Eof),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        self.received_since_ping = true;
        match message {
            Message::Binary(bytes) => self.shared.with(|state| state.receive(bytes)),
            Message::Text(_) => Err(SessionError::Text),
            Message::Close(frame) => Err(closed(frame)),
            Message::Ping(_) => {
                // The WebSocket has queued the pong.
                self.needs_flush = true;
                Ok(())
            }
            Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Sends one turn of messages. Returns whether there may be more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..MESSAGES_PER_TURN {
            // Checked before a message is taken, so that a blocked connection keeps messages in the queues of
            // the streams, where they count against the limit of each stream.
            if Pin::new(&mut self.websocket).poll_ready(cx)?.is_pending() {
                return Ok(false);
            }
            let Some(message) = self.next_message(cx) else {
                return Ok(false);
            };
            self.send(Message::Binary(message))?;
        }
        Ok(true)
    }

    fn next_message(&self, cx: &Context<'_>) -> Option<Bytes> {
        self.shared.with(|state| {
            let message = state.next_message();
            if message.is_none() {
                state.driver = Some(cx.waker().clone());
            }
            message
        })
    }

    fn send(&mut self, message: Message) -> Result<(), SessionError> {
        self.needs_flush = true;
        Ok(Pin::new(&mut self.websocket).start_send(message)?)
    }

    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Result<(), SessionError> {
        while self.pings.poll_tick(cx).is_ready() {
            // Any message counts, not only a pong: behind bulk data a pong may take longer than an interval.
            // The server has the same rule: it drops a connection without a pong within an
            // interval, and sends no close frame.
            if !self.received_since_ping {
                return Err(SessionError::PingTimeout {
                    seconds: self.pings.period().as_secs(),
                });
            }
            self.received_since_ping = false;
            self.shared.with(SessionState::record_ping);
            self.send(Message::Ping(Bytes::new()))?;
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), SessionError> {
        if self.needs_flush && Pin::new(&mut self.websocket).poll_flush(cx)?.is_ready() {
            self.needs_flush = false;
        }
        Ok(())
    }

    /// Receives, sends and pings, and returns ready when the session ends.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        // Receiving never waits for sending: if both ends stopped reading while their writes are blocked, neither would
        // ever continue. It does not wait for the readers of streams either: the receive window guarantees that the
        // buffer of a stream has room. So no stream can block another one.
        self.poll_ping(cx)?;
        for _ in 0..TURNS_PER_POLL {
            let can_receive = self.poll_receive(cx)?;
            let can_send = self.poll_send(cx)?;
            // A direction that is not exhausted has registered no waker: returning here would stall
            // it.
            if can_receive || can_send {
                continue;
            }
            // Only when both directions are idle: a flush per turn would split writes into small segments.
            self.poll_flush(cx)?;
            if self.shared.with(|state| state.is_done()) {
                return Poll::Ready(Ok(()));
            }
            return Poll::Pending;
        }
        self.poll_flush(cx)?;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = Result<(), SessionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = &mut *self;
        if driver.closing.is_none()
            && let Poll::Ready(result) = driver.poll_session(cx)
        {
            // Streams end before the close handshake, which may take a second: their users should not wait for it.
            driver.shared.with(SessionState::end);
            driver.closing = Some(CloseHandshake::start(&mut driver.websocket, result));
        }
        match &mut driver.closing {
            Some(closing) => closing.poll(&mut driver.websocket, cx),
            None => Poll::Pending,
        }
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.shared.with(SessionState::end);
    }
}

fn websocket_config(config: &SessionConfig) -> WebSocketConfig {
    // The peer may fill the whole window with one message, plus its header.
    let max_bytes = (config.receive_window as usize).max(BUFFER_BYTES) + 1024;
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes))
}

fn closed(frame: Option<CloseFrame>) -> SessionError {
    // RFC 6455: 1005 stands for a close frame without a code.
    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
        (frame.code.into(), frame.reason.to_string())
    });
    SessionError::Closed { code, reason }
}
