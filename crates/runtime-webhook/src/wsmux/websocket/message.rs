//! Messages to send, encoded and masked as they are built.

use super::header::{FrameHeader, MAX_HEADER_BYTES, Opcode};
use super::mask::{MaskKey, apply_mask};

/// The unit of copying and masking: masking a block that was just copied finds it in the cache.
const BLOCK_BYTES: usize = 4096;

/// A message that can still be extended.
#[derive(Debug)]
pub(in crate::wsmux) struct OutgoingMessage {
    /// Space for the header, then the masked payload.
    bytes: Vec<u8>,
    key: Option<MaskKey>,
}

/// An encoded frame, or the rest of a partly written one.
#[derive(Debug)]
pub(in crate::wsmux) struct EncodedFrame {
    bytes: Vec<u8>,
    start: usize,
}

impl OutgoingMessage {
    /// Returns an empty message with capacity for a payload.
    pub(in crate::wsmux) fn new(key: Option<MaskKey>, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER_BYTES + capacity);
        bytes.resize(MAX_HEADER_BYTES, 0);
        Self { bytes, key }
    }

    /// Returns the length of the payload.
    pub(in crate::wsmux) fn len(&self) -> usize {
        self.bytes.len() - MAX_HEADER_BYTES
    }

    /// Appends to the payload.
    pub(in crate::wsmux) fn extend(&mut self, bytes: &[u8]) {
        let Some(key) = self.key else {
            self.bytes.extend_from_slice(bytes);
            return;
        };
        for block in bytes.chunks(BLOCK_BYTES) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(block);
            apply_mask(&mut self.bytes[start..], key, start - MAX_HEADER_BYTES);
        }
    }

    /// Returns the message as a binary frame.
    pub(in crate::wsmux) fn into_binary(self) -> EncodedFrame {
        self.finish(Opcode::Binary)
    }

    pub(super) fn finish(mut self, opcode: Opcode) -> EncodedFrame {
        let header = FrameHeader {
            opcode,
            is_final: true,
            key: self.key,
            payload_len: self.len() as u64,
        };
        let target = self.bytes.first_chunk_mut();
        let len = target.map_or(0, |target| header.encode(target));
        EncodedFrame {
            bytes: self.bytes,
            start: MAX_HEADER_BYTES - len,
        }
    }
}

impl EncodedFrame {
    /// Returns the bytes that remain to be written.
    pub(super) fn remaining(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Removes written bytes.
    pub(super) fn advance(&mut self, count: usize) {
        self.start += count;
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    #[test]
    fn masked_message_matches_the_rfc() {
        // The example of section 5.7, as a binary message.
        let mut message = OutgoingMessage::new(Some(*b"\x37\xfa\x21\x3d"), 5);
        message.extend(b"Hel");
        message.extend(b"lo");
        let frame = message.into_binary();
        assert_eq!(
            frame.remaining(),
            b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }
}
