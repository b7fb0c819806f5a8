//! Lines that go to a local socket, each as a datagram of its own.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::out::Out;

/// A longer datagram than this is cut: sockets refuse what does not fit their buffer.
const MAX: usize = 128 * 1024;

/// A socket that is opened again when its other end was restarted.
pub(super) struct Datagrams {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Datagrams {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            socket: None,
        }
    }

    fn send(&mut self, line: &[u8]) -> std::io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket
            }
        };
        socket.send(&line[..line.len().min(MAX)])?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Out for Datagrams {
    fn write(&mut self, lines: &[u8], ends: &[usize]) {
        let mut start = 0;
        for end in ends {
            let line = &lines[start..*end];
            start = *end;
            // The second try opens the socket anew.
            if self.send(line).is_err() {
                let _ = self.send(line);
            }
        }
    }
}
