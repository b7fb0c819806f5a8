//! Multiplexes byte streams over one WebSocket, with the protocol of websocktunnel.
//!
//! A [`Session`] opens and accepts [`Stream`]s on a connection after its WebSocket handshake. Its [`Driver`] is
//! the future that moves the data. [`Frame`] is the codec alone.
//!
//! # Protocol
//!
//! Each binary message is a [`Frame`] of one stream:
//!
//! | frame | meaning |
//! | --- | --- |
//! | SYN | opens a stream |
//! | ACK | the first accepts the stream and announces the receive window; later ones reopen the window by the number of bytes that were read |
//! | DAT | data, within the window of the receiver |
//! | FIN | ends the data of the sender; the stream ends after the FIN of both ends |
//!
//! The protocol cannot abort a stream.
//!
//! # Implementation
//!
//! - Strict when sending: no empty DAT, no byte beyond the window, no data after FIN, no reused id.
//! - Tolerant when receiving, as the server is: frames for unknown streams are ignored, FIN may be missing, one
//!   DAT may fill the whole window. An invalid frame ends the session with close code 1008.
//! - Data beyond the window ends the stream, but not the session.
//! - Memory grows with the buffered data, not with the windows.
//! - An ACK is sent when half of the window was read.
//! - Streams take turns in sending, one message each. Receiving waits neither for sending nor for the readers
//!   of streams, so no stream can block another one.
//! - Data for a dropped stream is discarded and acknowledged, for peers that read no response before they
//!   have sent the whole request.
//!
//! # Example
//!
//! ```
//! use runtime_webhook::wsmux::{SessionConfig, Role, Session};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, server) = tokio::io::duplex(4096);
//! let (client, driver) = Session::start(client, Role::Client, SessionConfig::default()).await;
//! tokio::spawn(driver);
//! let (server, driver) = Session::start(server, Role::Server, SessionConfig::default()).await;
//! tokio::spawn(driver);
//!
//! let echo = tokio::spawn(async move {
//!     let stream = client.accept().await.expect("a stream of the server");
//!     let (mut reader, mut writer) = tokio::io::split(stream);
//!     tokio::io::copy(&mut reader, &mut writer).await?;
//!     writer.shutdown().await
//! });
//! let mut stream = server.open().await?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//! let mut response = String::new();
//! stream.read_to_string(&mut response).await?;
//! assert_eq!(response, "hello");
//! # echo.await??;
//! # Ok(())
//! # }
//! ```

mod close_handshake;
mod config;
mod driver;
mod error;
mod frame;
mod frame_decoder;
mod recv_buffer;
mod session;
mod session_state;
mod stream;
mod stream_state;
mod websocket;

pub use self::config::{Role, SessionConfig};
pub use self::driver::Driver;
pub use self::error::{OpenStreamError, SessionError, WebSocketViolation};
pub use self::frame::{Frame, FrameError, FrameKind};
pub use self::session::Session;
pub use self::stream::Stream;
