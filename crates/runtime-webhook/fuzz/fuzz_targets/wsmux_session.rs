//! For any sequence of actions of the server and of stream handles, a client obeys the protocol and delivers
//! unchanged data.

#![no_main]

use std::collections::HashMap;

use arbitrary::Arbitrary;
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use libfuzzer_sys::fuzz_target;
use runtime_webhook::wsmux::{SessionConfig, Frame, FrameKind, Role, Session, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, protocol};

#[derive(Arbitrary, Debug)]
enum Step {
    /// The server opens the next stream.
    Open,
    /// The server sends data for a stream, possibly an unknown one.
    Data(u8, u8),
    Ack(u8, u8),
    Fin(u8),
    /// The server sends an arbitrary message.
    Message(Vec<u8>),
    Accept,
    Read(u8),
    Write(u8, u16),
    Shutdown(u8),
    Drop(u8),
    Close,
}

/// The announced and the assumed window.
const WINDOW: u32 = 100;

const MESSAGE: usize = 40;

fn config() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.receive_window = WINDOW;
    config.assumed_window = WINDOW;
    config.max_message_bytes = MESSAGE;
    config.max_queued_bytes = 60;
    config.max_streams = 5;
    config.accept_backlog = 3;
    config
}

/// The server's view of a stream.
#[derive(Debug, Default)]
struct Seen {
    sent: usize,
    /// The number of bytes read from the handle.
    read: usize,
    credit: usize,
    acknowledged: usize,
    is_accepted: bool,
    has_ended: bool,
}

/// Both ends of a connection.
struct Harness {
    client: Session,
    server: WebSocketStream<DuplexStream>,
    opened: u32,
    seen: HashMap<u32, Seen>,
    streams: Vec<Stream>,
    has_ended_session: bool,
}

impl Harness {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Open => {
                let id = self.opened * 2;
                self.opened += 1;
                let credit = WINDOW as usize;
                self.seen.insert(id, Seen { credit, ..Seen::default() });
                self.send(id, FrameKind::Syn).await;
            }
            Step::Data(id, len) => self.send_data(u32::from(id), len.into()).await,
            Step::Ack(id, bytes) => {
                if let Some(seen) = self.seen.get_mut(&u32::from(id)) {
                    seen.credit += usize::from(bytes);
                }
                self.send(id.into(), FrameKind::Ack(bytes.into())).await;
            }
            Step::Fin(id) => self.send(id.into(), FrameKind::Fin).await,
            Step::Message(bytes) => {
                // The checks below do not track the effect of valid frames.
                if Frame::decode(bytes.clone().into()).is_err() {
                    self.message(bytes.into()).await;
                }
            }
            Step::Accept => {
                if let Some(Some(stream)) = self.client.accept().now_or_never() {
                    self.streams.push(stream);
                }
            }
            Step::Read(index) => self.read(index).await,
            Step::Write(index, len) => {
                if let Some(stream) = self.stream(index) {
                    let bytes = vec![b'c'; len.into()];
                    let _ = stream.write(&bytes).now_or_never();
                }
            }
            Step::Shutdown(index) => {
                if let Some(stream) = self.stream(index) {
                    let _ = stream.shutdown().now_or_never();
                }
            }
            Step::Drop(index) => {
                if !self.streams.is_empty() {
                    let index = usize::from(index) % self.streams.len();
                    self.streams.swap_remove(index);
                }
            }
            Step::Close => self.client.close(),
        }
    }

    fn stream(&mut self, index: u8) -> Option<&mut Stream> {
        let len = self.streams.len().max(1);
        self.streams.get_mut(usize::from(index) % len)
    }

    /// Sends data with consecutive byte values.
    async fn send_data(&mut self, id: u32, len: usize) {
        let sent = self.seen.entry(id).or_default().sent;
        let bytes: Vec<u8> = (sent..sent + len).map(|at| at as u8).collect();
        self.seen.entry(id).or_default().sent += len;
        self.send(id, FrameKind::Dat(bytes.into())).await;
    }

    async fn read(&mut self, index: u8) {
        let Some(stream) = self.stream(index) else { return };
        let (id, mut buffer) = (stream.id(), [0; 50]);
        // Errors and the end of the stream are not checked.
        if let Some(Ok(count)) = stream.read(&mut buffer).now_or_never() {
            let seen = self.seen.get_mut(&id).expect("an open stream");
            let expected = (seen.read..seen.read + count).map(|at| at as u8);
            assert!(buffer[..count].iter().copied().eq(expected), "the data differs from the sent data");
            seen.read += count;
        }
    }

    async fn send(&mut self, stream: u32, kind: FrameKind) {
        self.message(Frame { stream, kind }.encode()).await;
    }

    async fn message(&mut self, bytes: Bytes) {
        // Sending fails when the session has ended.
        self.has_ended_session |= self.server.send(Message::Binary(bytes)).await.is_err();
        tokio::task::yield_now().await;
        self.check_sent().await;
    }

    /// Checks the frames of the client.
    async fn check_sent(&mut self) {
        tokio::task::yield_now().await;
        while let Some(message) = self.server.next().now_or_never() {
            match message {
                Some(Ok(Message::Binary(bytes))) => self.check(Frame::decode(bytes).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => {
                    self.has_ended_session = true;
                    return;
                }
            }
        }
    }

    fn check(&mut self, Frame { stream, kind }: Frame) {
        let seen = self.seen.get_mut(&stream).expect("an open stream");
        assert!(!seen.has_ended || matches!(kind, FrameKind::Ack(_)), "{kind:?} after FIN");
        match kind {
            FrameKind::Dat(bytes) => {
                assert!(seen.is_accepted && !bytes.is_empty() && bytes.len() <= MESSAGE);
                seen.credit = seen.credit.checked_sub(bytes.len()).expect("within the credit");
            }
            FrameKind::Ack(bytes) if !seen.is_accepted => {
                assert_eq!(bytes, WINDOW);
                seen.is_accepted = true;
            }
            FrameKind::Ack(bytes) => {
                seen.acknowledged += bytes as usize;
                assert!(bytes > 0 && seen.acknowledged <= seen.sent, "more than sent");
            }
            FrameKind::Fin => seen.has_ended = true,
            FrameKind::Syn => panic!("the client opens nothing"),
        }
    }
}

async fn run(steps: Vec<Step>) {
    let (here, there) = tokio::io::duplex(1 << 20);
    let (client, driver) = Session::start(here, Role::Client, config()).await;
    let driver = tokio::spawn(driver);
    let server = WebSocketStream::from_raw_socket(there, protocol::Role::Server, None).await;
    let mut harness = Harness {
        client,
        server,
        opened: 0,
        seen: HashMap::new(),
        streams: Vec::new(),
        has_ended_session: false,
    };
    for step in steps {
        harness.step(step).await;
        harness.check_sent().await;
        if harness.has_ended_session {
            break;
        }
    }
    // In any case the session ends with its connection.
    drop(harness.server);
    let _ = driver.await.expect("no panic");
}

fuzz_target!(|steps: Vec<Step>| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(run(steps));
});
