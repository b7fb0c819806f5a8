//! The WebSocket close handshake at the end of a session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use super::error::SessionError;
use super::websocket::WebSocket;

// Close codes of RFC 6455.
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_PROTOCOL_ERROR: u16 = 1002;
const CLOSE_POLICY_VIOLATION: u16 = 1008;

// A websocktunnel server neither answers a close frame nor closes the connection. A stop therefore
// waits this long, during which the last frames are delivered.
/// The time limit for the peer to close the connection after the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of reads per poll, so that other tasks get their turn.
const READS_PER_POLL: usize = 32;

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
        websocket: &mut WebSocket<S>,
        result: Result<(), SessionError>,
    ) -> Self {
        let frame = close_frame(&result);
        let is_initiator = frame.is_some();
        if let Some((code, reason)) = frame {
            websocket.send_close(Some(code), &reason);
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
        websocket: &mut WebSocket<S>,
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
        websocket: &mut WebSocket<S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match websocket.poll_flush(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            // The peer sent the first close frame and reads until this end closes.
            Poll::Ready(Ok(())) if !self.is_initiator => return Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        // If a socket is closed with unread data, even a ping, the kernel sends RST, and the peer loses data that it has
        // not read yet: the last frames of the streams.
        for _ in 0..READS_PER_POLL {
            match websocket.poll_discard(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Returns the code and reason of the close frame for the end of a session, or `None` if the peer cannot or need not
/// receive one.
fn close_frame(result: &Result<(), SessionError>) -> Option<(u16, String)> {
    match result {
        Ok(()) => Some((CLOSE_NORMAL, String::new())),
        Err(SessionError::Frame(error)) => Some((CLOSE_POLICY_VIOLATION, error.to_string())),
        Err(error @ (SessionError::Text | SessionError::Flood)) => {
            Some((CLOSE_POLICY_VIOLATION, error.to_string()))
        }
        Err(SessionError::WebSocket(_)) => Some((CLOSE_PROTOCOL_ERROR, String::new())),
        Err(_) => None,
    }
}
