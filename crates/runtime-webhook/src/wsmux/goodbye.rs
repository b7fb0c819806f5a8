//! The end of a session: the peer is told, and gets time to take the last of the streams.

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

use super::SessionError;
use super::session::BATCH;

/// How long the peer may take to end the connection once it was told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a session ended, while the connection goes on.
///
/// Whoever ends the session does not close the connection first: a socket that is closed while something
/// waits to be read, be it a ping, is reset, and what the peer has not read by then is lost to it.
#[derive(Debug)]
pub(super) struct Goodbye {
    result: Option<Result<(), SessionError>>,
    /// Whether the peer was told that the session is over, and not the other way round.
    said: bool,
    patience: Pin<Box<Sleep>>,
}

impl Goodbye {
    /// Tells the peer, if it is still there and said nothing of the kind.
    pub(super) fn say<S>(
        websocket: &mut WebSocketStream<S>,
        result: Result<(), SessionError>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let frame = frame(&result);
        let said = frame.is_some();
        if said {
            // Whether the peer hears it makes no difference any more.
            let _ = Pin::new(websocket).start_send(Message::Close(frame));
        }
        Self {
            result: Some(result),
            said,
            patience: Box::pin(sleep(PATIENCE)),
        }
    }

    /// Ready with the outcome of the session once its connection may be closed.
    pub(super) fn poll<S>(
        &mut self,
        websocket: &mut WebSocketStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SessionError>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.patience.as_mut().poll(cx).is_pending()
            && self.poll_over(websocket, cx).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(self.result.take().unwrap_or(Err(SessionError::Eof)))
    }

    fn poll_over<S>(&self, websocket: &mut WebSocketStream<S>, cx: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match Pin::new(&mut *websocket).poll_flush(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) if !self.said => return Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        for _ in 0..BATCH {
            match Pin::new(&mut *websocket).poll_next(cx) {
                // Nobody is left to take it.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What the peer is told about the end of the session.
fn frame(result: &Result<(), SessionError>) -> Option<CloseFrame> {
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
