//! The WebSocket close handshake at the end of a session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::error::SessionError;

// A websocktunnel server neither answers a close frame nor closes the connection. A stop therefore
// waits this long, during which the last frames are delivered.
/// The time limit for the peer to close the connection after the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of messages discarded per poll, so that other tasks get their turn.
const MESSAGES_PER_POLL: usize = 32;

/// The close handshake and the result of the session.
///
/// The end that sends the first close frame does not close the connection first, but reads until the peer does.
#[derive(Debug)]
pub(super) struct CloseHandshake {
    result: Option<Result<(), SessionError>>,
    /// Whether this end sent the first close frame.
    is_initiator: bool,
    timeout: Pin<Box<Sleep>>,
}

impl CloseHandshake {
    /// Sends a close frame, unless the peer sent one or the connection is lost.
    pub(super) fn start<S: AsyncRead + AsyncWrite + Unpin>(
        websocket: &mut WebSocketStream<S>,
        result: Result<(), SessionError>,
    ) -> Self {
        let frame = close_frame(&result);
        let is_initiator = frame.is_some();
        if is_initiator {
            // An error means that the connection is lost, which `poll` detects.
            let _ = Pin::new(websocket).start_send(Message::Close(frame));
        }
        Self {
            result: Some(result),
            is_initiator,
            timeout: Box::pin(sleep(CLOSE_TIMEOUT)),
        }
    }

    /// Returns the result of the session once the connection may be closed.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        websocket: &mut WebSocketStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SessionError>> {
        if self.timeout.as_mut().poll(cx).is_pending()
            && self.poll_closed(websocket, cx).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(self.result.take().unwrap_or(Err(SessionError::Eof)))
    }

    fn poll_closed<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        websocket: &mut WebSocketStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match Pin::new(&mut *websocket).poll_flush(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            // The peer sent the first close frame and reads until this end closes.
            Poll::Ready(Ok(())) if !self.is_initiator => return Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        // If a socket is closed with unread data, even a ping, the kernel sends RST, and the peer loses data that it has
        // not read yet: the last frames of the streams.
        for _ in 0..MESSAGES_PER_POLL {
            match Pin::new(&mut *websocket).poll_next(cx) {
                // Discarded: all streams have ended.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Returns the close frame for the end of a session, or `None` if the peer cannot or need not receive one.
fn close_frame(result: &Result<(), SessionError>) -> Option<CloseFrame> {
    let (code, reason) = match result {
        Ok(()) => (CloseCode::Normal, String::new()),
        Err(SessionError::Frame(error)) => (CloseCode::Policy, error.to_string()),
        Err(error @ (SessionError::Text | SessionError::Flood)) => {
            (CloseCode::Policy, error.to_string())
        }
        Err(SessionError::WebSocket(tungstenite::Error::Capacity(_))) => {
            (CloseCode::Size, String::new())
        }
        Err(SessionError::WebSocket(_)) => (CloseCode::Protocol, String::new()),
        Err(_) => return None,
    };
    let reason = reason.into();
    Some(CloseFrame { code, reason })
}
