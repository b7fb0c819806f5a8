//! Bounds what a parser reads between two entries.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A reader that gives at most what is allowed, and then an error.
///
/// The parser of tar keeps long names and extended headers in memory as a whole, however long they say
/// they are. So it is allowed a little for each header, and a file's length for its content.
pub(super) struct Gate<R> {
    inner: R,
    allowance: Allowance,
}

/// How much may still be read; a clone is the same.
#[derive(Clone, Default)]
pub(super) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

impl<R> Gate<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            allowance: Allowance::default(),
        }
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let left = self.allowance.0.get();
        if left == 0 {
            // The end may have been reached at the same time.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(
                    "there is more between two entries than headers need",
                )),
            };
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.allowance.0.set(left - read as u64);
        Ok(read)
    }
}
