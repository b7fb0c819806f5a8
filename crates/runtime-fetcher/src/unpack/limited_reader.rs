//! A reader with a budget, which bounds the memory of the tar parser.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A reader that fails when its budget is exhausted.
///
/// The tar parser reads long names and extended headers into memory, up to the length that they declare. The budget is
/// therefore small between entries, and the declared length of a file during its content.
pub(super) struct LimitedReader<R> {
    inner: R,
    budget: ReadBudget,
}

/// The bytes that may still be read. Clones share the budget.
#[derive(Clone, Default)]
pub(super) struct ReadBudget(Rc<Cell<u64>>);

impl ReadBudget {
    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

impl<R> LimitedReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            budget: ReadBudget::default(),
        }
    }

    pub(super) fn budget(&self) -> ReadBudget {
        self.budget.clone()
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let remaining = self.budget.0.get();
        if remaining == 0 {
            // The input may end exactly here, which is not an error.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other("headers of an entry exceed 1 MiB")),
            };
        }
        let max = usize::try_from(remaining)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..max])?;
        self.budget.0.set(remaining - read as u64);
        Ok(read)
    }
}
