//! One program on one terminal, for one client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use runtime_core::clock::ticks;
use runtime_core::{Monitor, error_chain};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client_message::ClientMessage;
use super::command::ShellCommand;
use super::program::ShellStarter;
use super::terminal::{ControlledProgram, RunningProgram, StartedInput, TerminalInput};

/// The maximum size of a client message, which limits how much text can be pasted at once.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The size of the read buffer, which the WebSocket clears before each read. Most messages are a few keys.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// The maximum size of an output message.
const OUTPUT_BYTES: usize = 32 * 1024;

/// How long to wait for remaining output after the program has exited, and for the program to exit after the
/// terminal was hung up.
const EXIT_GRACE: Duration = Duration::from_millis(500);

/// The time limit of the WebSocket close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of a terminal until the client sends its own.
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

type WebSocket = WebSocketStream<TokioIo<Upgraded>>;
type WebSocketSink = SplitSink<WebSocket, Message>;
type WebSocketSource = SplitStream<WebSocket>;
type Terminal = (OwnedReadPty, OwnedWritePty);

/// The program of a session.
pub(super) enum ShellSource {
    Command(ShellCommand),
    Starter(Arc<dyn ShellStarter>),
}

pub(super) struct ShellSession {
    pub(super) upgrade: OnUpgrade,
    pub(super) source: ShellSource,
    pub(super) monitor: Monitor,
    pub(super) ping_interval: Duration,
}

/// The reason that a session ended.
enum SessionEnd {
    /// The program exited.
    Exited(String),
    /// The client sent an invalid message.
    ProtocolError(String),
    /// The client disconnected or does not respond.
    Disconnected,
}

impl ShellSession {
    pub(super) async fn run(self) {
        // An error means that the client disconnected before the upgrade.
        let Ok(upgraded) = self.upgrade.await else {
            return;
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let io = TokioIo::new(upgraded);
        let websocket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let (mut sink, mut source) = websocket.split();
        let ping_interval = self.ping_interval;
        let served = match self.source {
            ShellSource::Command(command) => {
                let program = command.program.clone();
                // On a thread that may block: the program may be on a dead network file system.
                let started = tokio::task::spawn_blocking(move || spawn(command)).await;
                let started = started.unwrap_or_else(|panic| Err(io::Error::from(panic).into()));
                match started {
                    Ok(((reader, writer), child)) => {
                        Ok(
                            serve(reader, writer, child, &mut sink, &mut source, ping_interval)
                                .await,
                        )
                    }
                    Err(error) => Err(format!(
                        "cannot run `{}` for a shell: {error}",
                        program.display()
                    )),
                }
            }
            ShellSource::Starter(starter) => match starter.start(ROWS, COLUMNS).await {
                Ok(program) => {
                    let control = Arc::clone(&program.control);
                    let input = StartedInput {
                        input: program.input,
                        control,
                    };
                    let running = ControlledProgram(Some(program.control));
                    let output = program.output;
                    Ok(serve(
                        output,
                        input,
                        running,
                        &mut sink,
                        &mut source,
                        ping_interval,
                    )
                    .await)
                }
                Err(error) => Err(format!("cannot start a shell: {}", error_chain(&*error))),
            },
        };
        let close_frame = match served {
            Ok(end) => end.into_close_frame(),
            Err(message) => {
                self.monitor.warn(message);
                Some(close_frame(CloseCode::Error, "cannot start the shell"))
            }
        };
        if let Some(frame) = close_frame {
            // An error or a timeout means that the client does not respond.
            let _ = timeout(CLOSE_TIMEOUT, close(frame, &mut sink, &mut source)).await;
        }
    }
}

impl SessionEnd {
    fn into_close_frame(self) -> Option<CloseFrame> {
        match self {
            Self::Exited(status) => Some(close_frame(CloseCode::Normal, &status)),
            Self::ProtocolError(reason) => Some(close_frame(CloseCode::Policy, &reason)),
            Self::Disconnected => None,
        }
    }
}

fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    // The frame has at most 125 bytes, two of which are the code.
    let reason = reason[..reason.floor_char_boundary(123)].into();
    CloseFrame { code, reason }
}

fn spawn(command: ShellCommand) -> pty_process::Result<(Terminal, Child)> {
    let (pty, pts) = pty_process::open()?;
    pty.resize(Size::new(ROWS, COLUMNS))?;
    let child = command.into_command().spawn(pts)?;
    Ok((pty.into_split(), child))
}

/// Sends a close frame, and discards input until the client has answered it.
///
/// If the socket were closed with unread input, the kernel would send RST, and the client could lose the
/// last output.
async fn close(
    frame: CloseFrame,
    sink: &mut WebSocketSink,
    source: &mut WebSocketSource,
) -> Result<(), Error> {
    sink.send(Message::Close(Some(frame))).await?;
    while source.next().await.transpose()?.is_some() {}
    Ok(())
}

/// Serves a client until the program exits or the client disconnects. The program has ended on return.
async fn serve(
    mut reader: impl AsyncRead + Send + Unpin,
    writer: impl TerminalInput,
    mut child: impl RunningProgram,
    sink: &mut WebSocketSink,
    source: &mut WebSocketSource,
    ping_interval: Duration,
) -> SessionEnd {
    let end = {
        // Input and output run concurrently, so a slow client that blocks the output can still send Ctrl-C.
        let mut output = std::pin::pin!(send_output(&mut reader, sink, ping_interval));
        let exited = async {
            tokio::select! {
                // All processes have closed the terminal, or the client is disconnected.
                result = &mut output => result.map(|()| None),
                status = child.wait() => {
                    // A background process may keep the terminal open for ever, so the wait for the remaining
                    // output is limited.
                    let _ = timeout(EXIT_GRACE, &mut output).await;
                    Ok(status.ok())
                }
            }
        };
        tokio::select! {
            end = receive_input(source, writer, ping_interval) => Some(end),
            exited = exited => match exited {
                Ok(Some(status)) => Some(SessionEnd::Exited(status)),
                Ok(None) => None,
                Err(_) => Some(SessionEnd::Disconnected),
            },
        }
    };
    if let Some(end @ SessionEnd::Exited(_)) = end {
        return end;
    }
    // The program is still running, or its status is unknown.
    // Closing the terminal makes the kernel send SIGHUP, on which a shell saves its history and exits.
    drop(reader);
    let status = match timeout(EXIT_GRACE, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.kill().await;
            // Also reaps the process.
            child.wait().await
        }
    };
    end.unwrap_or_else(|| status.map_or(SessionEnd::Disconnected, SessionEnd::Exited))
}

/// Sends the output of the program, and pings, until all processes have closed the terminal.
async fn send_output(
    reader: &mut (impl AsyncRead + Unpin),
    sink: &mut WebSocketSink,
    ping_interval: Duration,
) -> Result<(), Error> {
    let mut pings = ticks(ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(OUTPUT_BYTES);
        let message = tokio::select! {
            count = reader.read_buf(&mut buffer) => match count {
                Ok(1..) => Message::Binary(buffer.split().freeze()),
                // Linux reports EIO instead of the end of the file when the terminal is closed.
                Ok(0) | Err(_) => return Ok(()),
            },
            // In the same task as the output: the sink has one owner, and a client that does not read the output does
            // not read pings either.
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        sink.send(message).await?;
    }
}

/// Passes the messages of the client to the terminal until the client disconnects.
async fn receive_input(
    source: &mut WebSocketSource,
    mut writer: impl TerminalInput,
    ping_interval: Duration,
) -> SessionEnd {
    loop {
        // A responsive client sends at least a pong per interval.
        let message = match timeout(ping_interval.saturating_mul(2), source.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(Error::Capacity(error)))) => {
                return SessionEnd::ProtocolError(error.to_string());
            }
            _ => return SessionEnd::Disconnected,
        };
        let message = match message {
            Message::Binary(bytes) => ClientMessage::decode(bytes),
            Message::Text(_) => {
                return SessionEnd::ProtocolError("unexpected text message".to_owned());
            }
            Message::Close(_) => return SessionEnd::Disconnected,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let is_open = match message {
            Ok(ClientMessage::Input(bytes)) => writer.write_all(&bytes).await.is_ok(),
            Ok(ClientMessage::Resize { columns, rows }) => writer.resize(rows, columns),
            Err(error) => return SessionEnd::ProtocolError(error.to_string()),
        };
        if !is_open {
            // The program is exiting. The caller ends the session after the remaining output.
            std::future::pending::<()>().await;
        }
    }
}
