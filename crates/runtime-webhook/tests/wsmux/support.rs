//! Sessions over memory, and a peer that sees and sends raw frames.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use runtime_webhook::wsmux::{Frame, FrameKind, Role, Session, SessionConfig, SessionError, Stream};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role as RawRole;
use tokio_tungstenite::tungstenite::{self, Message};

/// How a session ended.
pub(crate) type Ended = JoinHandle<Result<(), SessionError>>;

/// A client and a server that are connected by a pipe of so many bytes.
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

/// A server that sends and sees single frames.
pub(crate) struct Raw {
    pub(crate) websocket: WebSocketStream<DuplexStream>,
}

/// A client session, how it ends, and the server that it is connected to.
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
        self.websocket
            .send(message)
            .await
            .expect("the client reads");
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.websocket
            .send(message)
            .await
            .expect("the client reads");
    }

    pub(crate) async fn data(&mut self, stream: u32, bytes: &[u8]) {
        self.send(stream, FrameKind::Dat(Bytes::copy_from_slice(bytes)))
            .await;
    }

    /// The next frame; pings are left out.
    pub(crate) async fn frame(&mut self) -> Frame {
        match self.message().await {
            Message::Binary(bytes) => Frame::decode(bytes).expect("the client sends frames"),
            other => panic!("not a frame: {other:?}"),
        }
    }

    /// The next message that is no ping and no pong.
    pub(crate) async fn message(&mut self) -> Message {
        self.try_message().await.expect("the client is there")
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
        let stream = client.accept().await.expect("the session goes on");
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

/// Everything up to the end.
pub(crate) async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    stream
        .read_to_end(&mut all)
        .await
        .expect("the stream ends well");
    all
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(seed: u32, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u32).wrapping_mul(31).wrapping_add(seed) as u8)
        .collect()
}
