//! Sessions over an in-memory pipe, and a peer with raw frames.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use runtime_webhook::wsmux::{
    Frame, FrameKind, Role, Session, SessionConfig, SessionError, Stream,
};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role as RawRole;
use tokio_tungstenite::tungstenite::{self, Message};

const MAX_WAIT: Duration = Duration::from_secs(120);

/// The task of a driver, with the result of the session.
pub(crate) type Ended = JoinHandle<Result<(), SessionError>>;

/// Returns a client and a server connected by a pipe of `pipe` bytes.
pub(crate) async fn pair(
    client: SessionConfig,
    server: SessionConfig,
    pipe: usize,
) -> (Session, Session) {
    let (here, there) = tokio::io::duplex(pipe);
    let (client, driver) = Session::start(here, Role::Client, client).await;
    tokio::spawn(driver);
    let (server, driver) = Session::start(there, Role::Server, server).await;
    tokio::spawn(driver);
    (client, server)
}

/// A server that sends and receives single frames.
pub(crate) struct Raw {
    pub(crate) websocket: WebSocketStream<DuplexStream>,
}

/// Returns a client session, the task of its driver, and its raw server.
pub(crate) async fn raw(config: SessionConfig, pipe: usize) -> (Session, Ended, Raw) {
    let (here, there) = tokio::io::duplex(pipe);
    let (client, driver) = Session::start(here, Role::Client, config).await;
    let ended = tokio::spawn(driver);
    let websocket = WebSocketStream::from_raw_socket(there, RawRole::Server, None).await;
    (client, ended, Raw { websocket })
}

impl Raw {
    pub(crate) async fn send(&mut self, stream: u32, kind: FrameKind) {
        let message = Message::Binary(Frame { stream, kind }.encode());
        self.websocket.send(message).await.expect("a write");
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.websocket.send(message).await.expect("a write");
    }

    pub(crate) async fn data(&mut self, stream: u32, bytes: &[u8]) {
        self.send(stream, FrameKind::Dat(Bytes::copy_from_slice(bytes)))
            .await;
    }

    /// Returns the next frame.
    pub(crate) async fn frame(&mut self) -> Frame {
        match self.message().await {
            Message::Binary(bytes) => Frame::decode(bytes).expect("a valid frame"),
            other => panic!("not a frame: {other:?}"),
        }
    }

    /// Returns the next message other than ping and pong. A session that sends none fails the test.
    pub(crate) async fn message(&mut self) -> Message {
        let message = tokio::time::timeout(MAX_WAIT, self.try_message()).await;
        message.expect("a message in time").expect("a message")
    }

    pub(crate) async fn try_message(&mut self) -> Result<Message, tungstenite::Error> {
        loop {
            match self.websocket.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(result) => return result,
                None => return Err(tungstenite::Error::ConnectionClosed),
            }
        }
    }

    pub(crate) async fn expect(&mut self, stream: u32, kind: FrameKind) {
        assert_eq!(self.frame().await, Frame { stream, kind });
    }

    /// Opens a stream that the client accepts.
    pub(crate) async fn open(&mut self, client: &Session, id: u32) -> Stream {
        self.send(id, FrameKind::Syn).await;
        let stream = client.accept().await.expect("a stream");
        assert_eq!(stream.id(), id);
        assert!(matches!(
            self.frame().await,
            Frame {
                kind: FrameKind::Ack(_),
                ..
            }
        ));
        stream
    }
}

/// Reads a stream to its end.
pub(crate) async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.expect("a clean end");
    all
}

/// Returns bytes that depend on seed and position.
pub(crate) fn pattern(seed: u32, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u32).wrapping_mul(31).wrapping_add(seed) as u8)
        .collect()
}
