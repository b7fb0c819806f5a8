//! One program on one terminal, for one client.

use std::process::ExitStatus;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use runtime_core::Monitor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ShellCommand;
use super::message::Input;

/// The largest message of a client: what is pasted at once.
const LARGEST: usize = 1 << 20;

/// How much output is sent at once.
const OUTPUT: usize = 32 * 1024;

/// How long output is awaited after the end of the program: what it left in the background may hold the
/// terminal for ever.
const REST: Duration = Duration::from_millis(500);

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);

type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// What a session starts with.
pub(super) struct Session {
    pub(super) upgrade: OnUpgrade,
    pub(super) command: ShellCommand,
    pub(super) monitor: Monitor,
    pub(super) ping_interval: Duration,
}

/// How a session ended.
enum End {
    /// The program did.
    Exit(ExitStatus),
    /// The client broke the protocol.
    Broken(String),
    /// The client is not there any more.
    Gone,
}

impl Session {
    pub(super) async fn run(self) {
        // Without the upgrade there is no client to tell.
        let Ok(upgraded) = self.upgrade.await else {
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let io = TokioIo::new(upgraded);
        let websocket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let (mut sink, mut stream) = websocket.split();
        let program = self.command.program().to_owned();
        let goodbye = match start(self.command) {
            Ok((terminal, child)) => {
                let end = serve(terminal, child, &mut sink, &mut stream, self.ping_interval).await;
                end.goodbye()
            }
            Err(error) => {
                let program = program.display();
                self.monitor
                    .warn(format_args!("cannot run `{program}` for a shell: {error}"));
                Some((CloseCode::Error, "cannot start the shell".to_owned()))
            }
        };
        if let Some((code, reason)) = goodbye {
            let reason = reason.into();
            let close = Message::Close(Some(CloseFrame { code, reason }));
            // A client that is gone needs none.
            let _ = timeout(GOODBYE, say(close, &mut sink, &mut stream)).await;
        }
    }
}

impl End {
    fn goodbye(self) -> Option<(CloseCode, String)> {
        match self {
            Self::Exit(status) => Some((CloseCode::Normal, status.to_string())),
            Self::Broken(reason) => Some((CloseCode::Policy, reason)),
            Self::Gone => None,
        }
    }
}

type Terminal = (OwnedReadPty, OwnedWritePty);

fn start(command: ShellCommand) -> pty_process::Result<(Terminal, Child)> {
    let (pty, pts) = pty_process::open()?;
    pty.resize(Size::new(24, 80))?;
    let child = command.into_command().spawn(pts)?;
    Ok((pty.into_split(), child))
}

/// Tells the client how it ended, and takes what it still types until it has heard: a socket that is closed
/// with something unread is reset, and the client may lose what was printed last.
async fn say(
    close: Message,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Result<(), Error> {
    sink.send(close).await?;
    while stream.next().await.transpose()?.is_some() {}
    Ok(())
}

/// Serves until the program or the client is gone, and sees to it that the program is, too.
async fn serve(
    (mut from, to): Terminal,
    mut child: Child,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    ping_interval: Duration,
) -> End {
    let end = {
        let mut output = std::pin::pin!(output(&mut from, sink, ping_interval));
        let exited = async {
            tokio::select! {
                // Nobody has the terminal open any more, or the client does not take what is printed.
                result = &mut output => result.map(|()| None),
                status = child.wait() => {
                    // What is left, if it comes soon.
                    let _ = timeout(REST, &mut output).await;
                    Ok(status.ok())
                }
            }
        };
        tokio::select! {
            end = input(stream, to, ping_interval) => Some(end),
            exited = exited => match exited {
                Ok(Some(status)) => Some(End::Exit(status)),
                Ok(None) => None,
                Err(_) => Some(End::Gone),
            },
        }
    };
    if let Some(end @ End::Exit(_)) = end {
        return end;
    }
    // Hangs the terminal up; the program has a moment to end by itself.
    drop(from);
    let status = match timeout(REST, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            // It fails only if the program has ended.
            let _ = child.kill().await;
            child.wait().await
        }
    };
    end.unwrap_or_else(|| status.map_or(End::Gone, End::Exit))
}

/// Sends what is printed, and pings.
async fn output(
    from: &mut OwnedReadPty,
    sink: &mut SplitSink<WebSocket, Message>,
    ping_interval: Duration,
) -> Result<(), Error> {
    let mut pings = interval(ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(OUTPUT);
        let message = tokio::select! {
            // Linux answers with an error once nobody has the terminal open.
            count = from.read_buf(&mut buffer) => match count {
                Ok(1..) => Message::Binary(buffer.split().freeze()),
                Ok(0) | Err(_) => return Ok(()),
            },
            _ = pings.tick() => Message::Ping(bytes::Bytes::new()),
        };
        sink.send(message).await?;
    }
}

/// Takes what the client says until it is gone.
async fn input(
    stream: &mut SplitStream<WebSocket>,
    mut to: OwnedWritePty,
    ping_interval: Duration,
) -> End {
    loop {
        let message = match timeout(ping_interval * 2, stream.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(Error::Capacity(error)))) => return End::Broken(error.to_string()),
            _ => return End::Gone,
        };
        let input = match message {
            Message::Binary(bytes) => Input::decode(bytes),
            Message::Text(_) => return End::Broken("text, where all is binary".to_owned()),
            Message::Close(_) => return End::Gone,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let result = match input {
            Ok(Input::Typed(bytes)) => to.write_all(&bytes).await.is_ok(),
            Ok(Input::Resize { columns, rows }) => to.resize(Size::new(rows, columns)).is_ok(),
            Err(error) => return End::Broken(error.to_string()),
        };
        if !result {
            // The program is ending, which its output tells.
            std::future::pending::<()>().await;
        }
    }
}
