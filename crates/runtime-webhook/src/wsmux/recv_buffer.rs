//! The buffer of received bytes that were not read yet.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

/// A byte queue that reuses its memory.
///
/// Received bytes are copied. Keeping the messages instead would take the read buffer away from the
/// WebSocket with each message: a new buffer is zeroed by the kernel and again by the WebSocket, which costs
/// far more than the copy.
#[derive(Debug, Default)]
pub(super) struct RecvBuffer(VecDeque<u8>);

impl RecvBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Moves bytes from the front into `target` and returns their number.
    pub(super) fn pop(&mut self, target: &mut ReadBuf<'_>) -> usize {
        let before = target.remaining();
        let (front, back) = self.0.as_slices();
        for part in [front, back] {
            target.put_slice(&part[..part.len().min(target.remaining())]);
        }
        let count = before - target.remaining();
        self.0.drain(..count);
        count
    }

    /// Releases unused memory.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Discards all bytes and releases the memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrink_releases_unused_memory() {
        let (mut buffer, mut memory) = (RecvBuffer::default(), vec![0; 1 << 20]);
        buffer.push(&[b'x'; 1 << 20]);
        let mut read = ReadBuf::new(&mut memory);
        read.set_filled(10);
        assert_eq!(buffer.pop(&mut read), (1 << 20) - 10);
        buffer.shrink();
        assert_eq!(buffer.0.len(), 10);
        assert!(buffer.0.capacity() < 1024, "{}", buffer.0.capacity());
    }
}
