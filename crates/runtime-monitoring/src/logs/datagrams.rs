//! Sends each line as a datagram to a local socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::output::LogOutput;

/// The maximum bytes per datagram. A socket rejects a datagram larger than its send buffer, about 200 KiB on Linux; longer
/// lines are truncated.
const MAX_DATAGRAM: usize = 128 * 1024;

/// A datagram socket that reconnects after a failure.
pub(super) struct DatagramOutput {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl DatagramOutput {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            socket: None,
        }
    }

    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket
            }
        };
        socket.send(&line[..line.len().min(MAX_DATAGRAM)])?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl LogOutput for DatagramOutput {
    fn write(&mut self, lines: &[u8], ends: &[usize]) {
        let mut start = 0;
        for end in ends {
            let line = &lines[start..*end];
            start = *end;
            // After a restart of the daemon, the old socket refers to a deleted file: the first attempt fails and drops it,
            // the second one reconnects. If that fails too, the line is lost.
            if self.send(line).is_err() {
                let _ = self.send(line);
            }
        }
    }
}
