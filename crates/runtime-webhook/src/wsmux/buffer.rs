//! What was received and not read yet.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// Shorter pieces are gathered: each would keep a whole buffer of the WebSocket alive.
const SHORT: usize = 4 * 1024;

/// So many bytes of short pieces make one.
const GATHERED: usize = 16 * 1024;

/// A queue of bytes that holds hardly more memory than they are.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pieces: VecDeque<Bytes>,
    gathered: BytesMut,
}

impl Buffer {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < SHORT {
            self.gathered.extend_from_slice(&bytes);
            if self.gathered.len() >= GATHERED {
                self.gather();
            }
        } else {
            self.gather();
            self.pieces.push_back(bytes);
        }
    }

    fn gather(&mut self) {
        if !self.gathered.is_empty() {
            let bytes = std::mem::take(&mut self.gathered);
            self.pieces.push_back(bytes.freeze());
        }
    }

    /// Takes up to `max` bytes off the front; empty if there are none.
    pub(super) fn pop(&mut self, max: usize) -> Bytes {
        if self.pieces.is_empty() {
            self.gather();
        }
        let Some(front) = self.pieces.front_mut() else {
            return Bytes::new();
        };
        if front.len() > max {
            return front.copy_to_bytes(max);
        }
        self.pieces.pop_front().unwrap_or_default()
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
