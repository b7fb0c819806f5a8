//! Many streams of bytes over one WebSocket, in the way of websocktunnel.
//!
//! A [`Session`] opens and accepts [`Stream`]s over any connection that has done its WebSocket handshake;
//! its [`Driver`] is the future that moves the bytes. [`Frame`] is the codec alone.
//!
//! # The protocol
//!
//! Every binary message is a [`Frame`] about one stream. The opener sends SYN; the first ACK accepts the
//! stream and tells how many bytes may be under way. Each later ACK gives back room for as many bytes as
//! were read. FIN says that its sender has no more; the stream is over when both have. There is nothing
//! to cut a stream with.
//!
//! # What this implementation does about it
//!
//! - It is strict about what it sends: no empty DAT, no byte beyond the credit, nothing after FIN, no id twice.
//! - It is tolerant about what comes, as the server is: frames about unknown streams are ignored, a FIN may
//!   never come, a DAT may fill the whole window. What is no frame ends the session, with close code 1008.
//! - More bytes than the window has room for end that stream; the others go on.
//! - Memory grows with the bytes in flight, not with the windows.
//! - ACKs are sent when half of the window was read, not with each read.
//! - Streams take turns in sending, a message each. Reading never waits for writing, nor for the reader of
//!   one stream.
//! - What comes for a stream that was dropped is read and thrown away, for peers that read no answer before
//!   they have sent everything.
//!
//! # Example
//!
//! ```
//! use runtime_webhook::wsmux::{SessionConfig, Role, Session};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (here, there) = tokio::io::duplex(4096);
//! let (client, driver) = Session::start(here, Role::Client, SessionConfig::default()).await;
//! tokio::spawn(driver);
//! let (server, driver) = Session::start(there, Role::Server, SessionConfig::default()).await;
//! tokio::spawn(driver);
//!
//! let echo = tokio::spawn(async move {
//!     let stream = client.accept().await.expect("the server opens one");
//!     let (mut from, mut to) = tokio::io::split(stream);
//!     tokio::io::copy(&mut from, &mut to).await?;
//!     to.shutdown().await
//! });
//! let mut stream = server.open().await?;
//! stream.write_all(b"hello").await?;
//! stream.shutdown().await?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).await?;
//! assert_eq!(answer, "hello");
//! # echo.await??;
//! # Ok(())
//! # }
//! ```

mod buffer;
mod config;
mod error;
mod frame;
mod goodbye;
mod session;
mod slot;
mod state;
mod stream;

pub use self::config::{Role, SessionConfig};
pub use self::error::{OpenStreamError, SessionError};
pub use self::frame::{Frame, FrameError, Kind};
pub use self::session::{Driver, Session};
pub use self::stream::Stream;
