//! The codec of frames.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The length of a frame header: type and stream id.
pub(super) const HEADER_BYTES: usize = 5;

pub(super) const DAT: u8 = 0;
const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 3;

/// A frame, sent as one binary WebSocket message.
///
/// The encoding is a type byte, the stream id as a 32-bit little-endian integer, and the payload.
///
/// ```
/// use runtime_webhook::wsmux::{Frame, FrameKind};
///
/// let frame = Frame { stream: 2, kind: FrameKind::Ack(4 << 20) };
/// let bytes = frame.encode();
/// assert_eq!(bytes[..], [2, 2, 0, 0, 0, 0, 0, 0x40, 0]);
/// assert_eq!(Frame::decode(bytes)?, frame);
/// # Ok::<(), runtime_webhook::wsmux::FrameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The id of the stream: even if the server opened it, odd if the client did.
    pub stream: u32,
    /// The type and the payload.
    pub kind: FrameKind,
}

/// The type and the payload of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Data of the stream.
    Dat(Bytes),
    /// Opens the stream.
    Syn,
    /// Grants the peer permission to send this number of bytes. The first ACK also accepts the stream.
    Ack(u32),
    /// Ends the data of the sender.
    Fin,
}

impl Frame {
    /// Decodes a message without copying its data.
    ///
    /// # Errors
    ///
    /// A [`FrameError`] if the type is unknown or the length does not match the type.
    pub fn decode(message: Bytes) -> Result<Self, FrameError> {
        let Some((header, payload)) = message.split_first_chunk::<HEADER_BYTES>() else {
            return Err(FrameError::Short { len: message.len() });
        };
        let [kind, id @ ..] = *header;
        let len = payload.len();
        // Lengths are checked exactly: a longer SYN may belong to a newer version of the protocol, which must not be
        // misinterpreted.
        let kind = match (kind, len) {
            (DAT, _) => FrameKind::Dat(message.slice(HEADER_BYTES..)),
            (SYN, 0) => FrameKind::Syn,
            (FIN, 0) => FrameKind::Fin,
            (ACK, 4) => FrameKind::Ack(u32::from_le_bytes([
                payload[0], payload[1], payload[2], payload[3],
            ])),
            (SYN | ACK | FIN, _) => return Err(FrameError::Payload { kind, len }),
            (kind, _) => return Err(FrameError::Type { kind }),
        };
        let stream = u32::from_le_bytes(id);
        Ok(Self { stream, kind })
    }

    /// Returns the encoded message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (kind, payload): (u8, &[u8]) = match &self.kind {
            FrameKind::Dat(bytes) => (DAT, bytes),
            FrameKind::Syn => (SYN, &[]),
            FrameKind::Ack(bytes) => (ACK, &bytes.to_le_bytes()),
            FrameKind::Fin => (FIN, &[]),
        };
        let mut message = BytesMut::with_capacity(HEADER_BYTES + payload.len());
        message.put_u8(kind);
        message.put_u32_le(self.stream);
        message.put_slice(payload);
        message.freeze()
    }
}

/// Returns the header of a DAT frame.
pub(super) fn data_header(stream: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = stream.to_le_bytes();
    [DAT, a, b, c, d]
}

/// A message is not a valid frame. The session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header is incomplete.
    #[error("frame of {len} bytes is shorter than its header of 5 bytes")]
    Short {
        /// The length of the message.
        len: usize,
    },

    /// The type is unknown.
    #[error("unknown frame type {kind}")]
    Type {
        /// The type.
        kind: u8,
    },

    /// The length of the payload does not match the type.
    #[error("invalid payload of {len} bytes for frame type {kind}")]
    Payload {
        /// The type.
        kind: u8,
        /// The length of the payload.
        len: usize,
    },
}
