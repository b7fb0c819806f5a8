//! A session: the streams, and what moves their bytes over the connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{self, CloseFrame, WebSocketConfig};

use super::goodbye::Goodbye;
use super::state::State;
use super::stream::Stream;
use super::{OpenStreamError, Role, SessionConfig, SessionError};

/// What is read from the connection, and written to it, at once. The WebSocket clears the former before
/// each read, and moves what a write left over: more costs more than it saves calls.
const BUFFER: usize = 64 * 1024;

/// So many messages are taken before the other direction gets its turn.
pub(super) const BATCH: usize = 32;

/// So many turns are taken before other tasks get theirs.
const TURNS: usize = 8;

/// The state of a session, for the driver and all streams.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    /// Works on the state, and wakes whoever has to be woken by it after the lock is released.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock();
        let result = work(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        for waker in wakes {
            waker.wake();
        }
        result
    }
}

/// One end of a session; every clone is the same.
///
/// It does nothing by itself: the [`Driver`] that comes with it has to be run.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// Begins a session on a connection after its handshake.
    ///
    /// # Cancel safety
    ///
    /// It does not wait for anything.
    pub async fn start<S>(connection: S, role: Role, config: SessionConfig) -> (Self, Driver<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut pings = interval(config.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let websocket = WebSocketStream::from_raw_socket(
            connection,
            websocket_role(role),
            Some(limits(&config)),
        )
        .await;
        let shared = Arc::new(Shared(Mutex::new(State::new(role, config))));
        let session = Self {
            shared: Arc::clone(&shared),
        };
        let driver = Driver {
            shared,
            websocket,
            pings,
            heard: true,
            unsent: false,
            goodbye: None,
        };
        (session, driver)
    }

    /// Accepts the next stream of the peer; `None` once there will be none.
    ///
    /// # Cancel safety
    ///
    /// Safe: a stream that was not returned waits for the next call.
    pub async fn accept(&self) -> Option<Stream> {
        let id = poll_fn(|cx| {
            self.shared.with(|state| match state.accept() {
                Some(id) => Poll::Ready(Some(id)),
                None if state.has_ended() || state.is_closing() => Poll::Ready(None),
                None => {
                    state.acceptor = Some(cx.waker().clone());
                    Poll::Pending
                }
            })
        });
        let id = id.await?;
        Some(Stream::new(Arc::clone(&self.shared), id))
    }

    /// Opens a stream, and waits until the peer accepts it.
    ///
    /// The server of websocktunnel accepts none.
    ///
    /// # Errors
    ///
    /// An [`OpenStreamError`] if the peer does not accept it.
    ///
    /// # Cancel safety
    ///
    /// Safe: the stream is ended.
    pub async fn open(&self) -> Result<Stream, OpenStreamError> {
        let (id, limit) = self
            .shared
            .with(|state| state.open().map(|id| (id, state.config.open_timeout)))?;
        // Dropped with this future, it ends the stream.
        let stream = Stream::new(Arc::clone(&self.shared), id);
        let accepted = poll_fn(|cx| self.shared.with(|state| poll_accepted(state, id, cx)));
        match timeout(limit, accepted).await {
            Ok(result) => result.map(|()| stream),
            Err(_) => Err(OpenStreamError::Timeout {
                seconds: limit.as_secs(),
            }),
        }
    }

    /// Opens and accepts no more streams. Once those there are have ended, the driver says goodbye, and ends when
    /// the peer has closed the connection or a second later.
    pub fn close(&self) {
        self.shared.with(State::close);
    }
}

fn poll_accepted(
    state: &mut State,
    id: u32,
    cx: &Context<'_>,
) -> Poll<Result<(), OpenStreamError>> {
    let has_ended = state.has_ended();
    match state.streams.get_mut(&id) {
        Some(slot) if slot.sending.credit.is_some() => Poll::Ready(Ok(())),
        Some(slot) if slot.receiving.ended => Poll::Ready(Err(OpenStreamError::Refused)),
        Some(slot) if !has_ended => {
            slot.sending.writer = Some(cx.waker().clone());
            Poll::Pending
        }
        _ => Poll::Ready(Err(OpenStreamError::Ended)),
    }
}

fn websocket_role(role: Role) -> protocol::Role {
    match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    }
}

/// The largest message fills the whole window at once.
fn limits(config: &SessionConfig) -> WebSocketConfig {
    let largest = (config.receive_window as usize).max(BUFFER) + 1024;
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// Moves the bytes of a session; a future that has to be run, and that ends with the session.
///
/// It is `Ok` after [`Session::close`], and an error tells why the session ended otherwise. Dropping it cuts
/// the connection, and all streams fail.
#[derive(Debug)]
#[must_use = "a session does nothing unless its driver runs"]
pub struct Driver<S> {
    shared: Arc<Shared>,
    websocket: WebSocketStream<S>,
    pings: Interval,
    /// Whether something came since the last ping.
    heard: bool,
    /// Whether something was given to the connection that may not have been sent.
    unsent: bool,
    /// How the session ends.
    goodbye: Option<Goodbye>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Takes a batch of what came; whether there may be more.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..BATCH {
            match Pin::new(&mut self.websocket).poll_next(cx) {
                Poll::Ready(Some(message)) => self.receive(message?)?,
                Poll::Ready(None) => return Err(SessionError::Eof),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    fn receive(&mut self, message: Message) -> Result<(), SessionError> {
        self.heard = true;
        match message {
            Message::Binary(bytes) => self.shared.with(|state| state.receive(bytes)),
            Message::Text(_) => Err(SessionError::Text),
            Message::Close(frame) => Err(closed(frame)),
            // The answer to a ping is queued already.
            Message::Ping(_) => {
                self.unsent = true;
                Ok(())
            }
            Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Sends a batch of what there is; whether there may be more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<bool, SessionError> {
        for _ in 0..BATCH {
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
        self.unsent = true;
        Ok(Pin::new(&mut self.websocket).start_send(message)?)
    }

    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Result<(), SessionError> {
        while self.pings.poll_tick(cx).is_ready() {
            if !self.heard {
                return Err(SessionError::Silent {
                    seconds: self.pings.period().as_secs(),
                });
            }
            self.heard = false;
            self.shared.with(State::ping);
            self.send(Message::Ping(Bytes::new()))?;
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), SessionError> {
        if self.unsent && Pin::new(&mut self.websocket).poll_flush(cx)?.is_ready() {
            self.unsent = false;
        }
        Ok(())
    }

    /// Both directions and the pings, none of which waits for another; ready when the session is over.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        self.poll_ping(cx)?;
        for _ in 0..TURNS {
            let more_to_receive = self.poll_receive(cx)?;
            let more_to_send = self.poll_send(cx)?;
            if more_to_receive || more_to_send {
                continue;
            }
            self.poll_flush(cx)?;
            return match self.shared.with(|state| state.is_done()) {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
        self.poll_flush(cx)?;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the streams, and tells the peer.
    fn say_goodbye(&mut self, result: Result<(), SessionError>) {
        self.shared.with(State::end);
        self.goodbye = Some(Goodbye::say(&mut self.websocket, result));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = Result<(), SessionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = &mut *self;
        if driver.goodbye.is_none()
            && let Poll::Ready(result) = driver.poll_session(cx)
        {
            driver.say_goodbye(result);
        }
        match &mut driver.goodbye {
            Some(goodbye) => goodbye.poll(&mut driver.websocket, cx),
            None => Poll::Pending,
        }
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.shared.with(State::end);
    }
}

fn closed(frame: Option<CloseFrame>) -> SessionError {
    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
        (frame.code.into(), frame.reason.to_string())
    });
    SessionError::Closed { code, reason }
}
