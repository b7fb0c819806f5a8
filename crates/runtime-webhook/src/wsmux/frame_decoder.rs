//! Decodes frames from messages that arrive in parts.

use bytes::Bytes;

use super::frame::{DAT, Frame, FrameError, HEADER_BYTES};

/// The buffered length of frames without data: one byte more than any valid one.
const CONTROL_BYTES: usize = HEADER_BYTES + 5;

/// The message in progress.
#[derive(Debug, Default)]
pub(super) struct FrameDecoder {
    head: [u8; CONTROL_BYTES],
    /// The length of the message so far, without the data of a DAT frame.
    len: usize,
}

/// A decoded part of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FramePart<'a> {
    /// Data of a stream, passed on before the rest of its frame arrives.
    Data { stream: u32, bytes: &'a [u8] },
    /// A frame without data.
    Control(Frame),
}

impl FrameDecoder {
    /// Decodes the next part of a message. Returns `None` if it contains neither data nor the end of a frame.
    pub(super) fn decode<'a>(
        &mut self,
        part: &'a [u8],
        is_last: bool,
    ) -> Result<Option<FramePart<'a>>, FrameError> {
        let header_len = HEADER_BYTES.saturating_sub(self.len).min(part.len());
        let (header, payload) = part.split_at(header_len);
        self.push(header);
        if let [DAT, a, b, c, d, ..] = self.head
            && self.len == HEADER_BYTES
        {
            if is_last {
                self.len = 0;
            }
            return Ok(Some(FramePart::Data {
                stream: u32::from_le_bytes([a, b, c, d]),
                bytes: payload,
            }));
        }
        self.push(payload);
        if !is_last {
            return Ok(None);
        }
        let len = std::mem::take(&mut self.len);
        let message = Bytes::copy_from_slice(&self.head[..len.min(CONTROL_BYTES)]);
        match Frame::decode(message) {
            Ok(frame) => Ok(Some(FramePart::Control(frame))),
            Err(FrameError::Payload { kind, .. }) => Err(FrameError::Payload {
                kind,
                len: len - HEADER_BYTES,
            }),
            Err(error) => Err(error),
        }
    }

    /// Appends to the head, or only counts the bytes beyond it, which make the frame invalid.
    fn push(&mut self, bytes: &[u8]) {
        let free = &mut self.head[self.len.min(CONTROL_BYTES)..];
        let count = bytes.len().min(free.len());
        free[..count].copy_from_slice(&bytes[..count]);
        self.len = self.len.saturating_add(bytes.len());
    }
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;
    use crate::wsmux::frame::FrameKind;

    /// Decodes a message in parts of `size` bytes and returns the data and the frame without data.
    fn decode(message: &[u8], size: usize) -> Result<(Vec<u8>, Option<Frame>), FrameError> {
        let (mut decoder, mut data, mut frame) = (FrameDecoder::default(), Vec::new(), None);
        // The second message detects state that remains from the first.
        for _ in 0..2 {
            (data, frame) = (Vec::new(), None);
            let mut parts = message.chunks(size).peekable();
            while let Some(part) = parts.next() {
                match decoder.decode(part, parts.peek().is_none())? {
                    Some(FramePart::Data { stream, bytes }) => {
                        assert_eq!(stream, 2);
                        data.extend_from_slice(bytes);
                    }
                    Some(FramePart::Control(control)) => frame = Some(control),
                    None => {}
                }
            }
        }
        Ok((data, frame))
    }

    #[test]
    fn parts_decode_like_the_whole() {
        for kind in [
            FrameKind::Syn,
            FrameKind::Fin,
            FrameKind::Ack(0x0102_0304),
            FrameKind::Dat(Bytes::from_static(b"some data")),
        ] {
            let frame = Frame { stream: 2, kind };
            let message = frame.encode();
            for size in 1..=message.len() {
                let expected = match &frame.kind {
                    FrameKind::Dat(bytes) => (bytes.to_vec(), None),
                    _ => (Vec::new(), Some(frame.clone())),
                };
                assert_eq!(decode(&message, size), Ok(expected));
            }
        }
    }

    #[test]
    fn invalid_parts_fail_like_the_whole() {
        for message in [
            b"\x01\0".as_slice(),
            b"\x04\0\0\0\0",
            b"\x02\0\0\0\0\0\0\0",
            b"\x02\0\0\0\0\0\0\0\0\0",
            &[&b"\x03\0\0\0\0"[..], &[0; 1000]].concat(),
        ] {
            let expected = Frame::decode(Bytes::copy_from_slice(message)).map(|_| unreachable!());
            for size in 1..=message.len() {
                assert_eq!(decode(message, size), expected);
            }
        }
    }
}
