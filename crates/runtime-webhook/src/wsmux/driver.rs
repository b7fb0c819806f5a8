//! Moves the frames of a session over its connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use runtime_core::clock::ticks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Interval, MissedTickBehavior};

use super::close_handshake::CloseHandshake;
use super::config::{Role, SessionConfig};
use super::error::SessionError;
use super::frame_decoder::FrameDecoder;
use super::session_state::{SessionState, SharedState};
use super::websocket::{CloseFrame, EncodedFrame, Received, WebSocket};

/// The maximum number of messages, or parts of received ones, in one direction before the other direction gets its turn.
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
    websocket: WebSocket<S>,
    decoder: FrameDecoder,
    pings: Interval,
    /// Whether a message was received since the last ping.
    received_since_ping: bool,
    /// The close handshake, once the session has ended.
    closing: Option<CloseHandshake>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(
        connection: S,
        role: Role,
        config: &SessionConfig,
        shared: Arc<SharedState>,
    ) -> Self {
        let mut pings = ticks(config.ping_interval);
        // Without `Delay`, missed ticks follow each other at once, and the peer has no time to respond in between.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            shared,
            websocket: WebSocket::new(connection, role),
            decoder: FrameDecoder::default(),
            pings,
            received_since_ping: true,
            closing: None,
        }
    }

    /// Receives one turn of messages. Returns whether there may be more.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..MESSAGES_PER_TURN {
            let Poll::Ready(received) = self.websocket.poll_receive(cx)? else {
                return Ok(false);
            };
            self.received_since_ping = true;
            match received {
                Received::Binary { bytes, is_last } => {
                    if let Some(part) = self.decoder.decode(bytes, is_last)? {
                        self.shared.with(|state| state.receive(part))?;
                    }
                }
                Received::Ping => {}
                Received::Text => return Err(SessionError::Text),
                Received::Close(frame) => return Err(closed(frame)),
                Received::Eof => return Err(SessionError::Eof),
            }
        }
        Ok(true)
    }

    /// Sends one turn of messages. Returns whether there may be more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..MESSAGES_PER_TURN {
            // Checked before a message is taken, so that a blocked connection keeps messages in the queues of
            // the streams, where they count against the limit of each stream.
            if !self.websocket.has_capacity() && self.websocket.poll_write(cx)?.is_pending() {
                return Ok(false);
            }
            let Some(message) = self.next_message(cx) else {
                return Ok(false);
            };
            self.websocket.send(message);
        }
        Ok(true)
    }

    fn next_message(&self, cx: &Context<'_>) -> Option<EncodedFrame> {
        self.shared.with(|state| {
            let message = state.next_message();
            if message.is_none() {
                state.driver = Some(cx.waker().clone());
            }
            message
        })
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
            self.websocket.send_ping();
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
            let _ = self.websocket.poll_flush(cx)?;
            if self.shared.with(|state| state.is_done()) {
                return Poll::Ready(Ok(()));
            }
            return Poll::Pending;
        }
        let _ = self.websocket.poll_flush(cx)?;
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

fn closed(frame: CloseFrame) -> SessionError {
    SessionError::Closed {
        // RFC 6455: 1005 stands for a close frame without a code.
        code: frame.code.unwrap_or(1005),
        reason: frame.reason,
    }
}
