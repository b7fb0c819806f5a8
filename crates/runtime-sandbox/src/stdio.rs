//! Standard input, output and error of a command.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// One of the standard streams of a command.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum StdStream {
    /// `/dev/null`.
    #[default]
    Null,
    /// The worker's stream of the same kind.
    Inherit,
    /// A pipe, whose other end is a field of [`SandboxChild`](crate::SandboxChild).
    Pipe,
    /// A file, pipe or socket.
    File(OwnedFd),
}

/// The number of a standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Input,
    Output,
    Error,
}

/// The command's end of a stream, and for a pipe the worker's end.
pub(crate) struct StreamEnds {
    pub(crate) inside: OwnedFd,
    pub(crate) outside: Option<OwnedFd>,
}

impl StdStream {
    pub(crate) fn open(&self, kind: StreamKind) -> io::Result<StreamEnds> {
        let inside = match self {
            Self::Null => open_null(kind)?,
            Self::File(file) => file.try_clone()?,
            Self::Inherit => match kind {
                StreamKind::Input => io::stdin().as_fd().try_clone_to_owned()?,
                StreamKind::Output => io::stdout().as_fd().try_clone_to_owned()?,
                StreamKind::Error => io::stderr().as_fd().try_clone_to_owned()?,
            },
            Self::Pipe => {
                let (reader, writer) = io::pipe()?;
                let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
                let (inside, outside) = match kind {
                    StreamKind::Input => (reader, writer),
                    StreamKind::Output | StreamKind::Error => (writer, reader),
                };
                let outside = Some(outside);
                return Ok(StreamEnds { inside, outside });
            }
        };
        Ok(StreamEnds {
            inside,
            outside: None,
        })
    }
}

fn open_null(kind: StreamKind) -> io::Result<OwnedFd> {
    let is_input = kind == StreamKind::Input;
    let file = File::options()
        .read(is_input)
        .write(!is_input)
        .open("/dev/null")?;
    Ok(file.into())
}
