//! What was received and not read yet.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

/// A queue of bytes that uses its memory again and again.
///
/// What came is copied: to keep the messages instead would take the WebSocket its buffer away with each, and
/// a new one of that size is cleared by the operating system and by the WebSocket, which costs far more.
#[derive(Debug, Default)]
pub(super) struct Buffer(VecDeque<u8>);

impl Buffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Moves as many bytes as fit off the front, and returns how many.
    pub(super) fn pop(&mut self, into: &mut ReadBuf<'_>) -> usize {
        let before = into.remaining();
        let (front, back) = self.0.as_slices();
        for part in [front, back] {
            into.put_slice(&part[..part.len().min(into.remaining())]);
        }
        let count = before - into.remaining();
        self.0.drain(..count);
        count
    }

    /// Gives memory back that the bytes do not need.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_the_bytes_do_not_need_is_given_back() {
        let (mut buffer, mut memory) = (Buffer::default(), vec![0; 1 << 20]);
        buffer.push(&[b'x'; 1 << 20]);
        let mut read = ReadBuf::new(&mut memory);
        read.set_filled(10);
        assert_eq!(buffer.pop(&mut read), (1 << 20) - 10);
        buffer.shrink();
        assert_eq!(buffer.0.len(), 10);
        assert!(buffer.0.capacity() < 1024, "{}", buffer.0.capacity());
    }
}
