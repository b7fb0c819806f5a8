//! A pseudo terminal of a command.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::fs::{OFlags, fchown, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::sys;

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// The number of lines.
    pub rows: u16,
    /// The number of characters in a line.
    pub columns: u16,
}

/// The worker's side of a command's terminal: reads its output and writes its input.
///
/// Reading returns the end of the stream when all processes have closed the terminal.
#[derive(Debug)]
pub struct SandboxTerminal(AsyncFd<OwnedFd>);

/// Both sides of a new terminal.
pub(crate) struct TerminalPair {
    pub(crate) outside: OwnedFd,
    pub(crate) inside: OwnedFd,
}

impl TerminalPair {
    /// Opens a terminal. Its inner side belongs to `owner`.
    pub(crate) fn open(size: TerminalSize, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outside = openpt(flags)?;
        unlockpt(&outside)?;
        // Opened through the other side and not by its path, which another mount could cover.
        let inside = ioctl_tiocgptpeer(&outside, flags)?;
        if let Some((user, group)) = owner {
            fchown(
                &inside,
                Some(Uid::from_raw(user)),
                Some(Gid::from_raw(group)),
            )?;
        }
        tcsetwinsize(&inside, size.into())?;
        // Only the outer side: the inner one is the command's, and few programs expect a terminal
        // that does not block.
        fcntl_setfl(&outside, fcntl_getfl(&outside)? | OFlags::NONBLOCK)?;
        Ok(Self { outside, inside })
    }
}

impl SandboxTerminal {
    pub(crate) fn new(outside: OwnedFd) -> io::Result<Self> {
        sys::register(outside, Interest::READABLE | Interest::WRITABLE).map(Self)
    }

    /// Changes the size. The command's foreground processes receive `SIGWINCH`.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(tcsetwinsize(self.0.get_ref(), size.into())?)
    }
}

impl From<TerminalSize> for Winsize {
    fn from(size: TerminalSize) -> Self {
        Self {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

impl AsyncRead for SandboxTerminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let read = |terminal: &AsyncFd<OwnedFd>| {
                Ok(rustix::io::read(
                    terminal.get_ref(),
                    buffer.initialize_unfilled(),
                )?)
            };
            match ready.try_io(read) {
                Ok(Ok(len)) => {
                    buffer.advance(len);
                    return Poll::Ready(Ok(()));
                }
                // The kernel's way to say that the other side is closed.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for SandboxTerminal {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            let write =
                |terminal: &AsyncFd<OwnedFd>| Ok(rustix::io::write(terminal.get_ref(), bytes)?);
            if let Ok(written) = ready.try_io(write) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
