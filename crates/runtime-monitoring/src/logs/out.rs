//! Where rendered lines go.

use std::io::Write;

/// Takes lines, on a thread that may wait. What cannot be written is lost: there is nobody to tell.
pub(super) trait Out: Send {
    /// Takes lines that stand one after the other; each ends where `ends` says.
    fn write(&mut self, lines: &[u8], ends: &[usize]);
}

/// Lines that go one after the other into a stream.
pub(super) struct Stream<W>(pub(super) W);

impl<W: Write + Send> Out for Stream<W> {
    fn write(&mut self, lines: &[u8], _: &[usize]) {
        let _ = self.0.write_all(lines).and_then(|()| self.0.flush());
    }
}
