//! What a message says: the codec.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The length of the header: the type, then the id of the stream.
pub(super) const HEADER: usize = 5;

const DAT: u8 = 0;
const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 3;

/// One binary WebSocket message: something about one stream.
///
/// On the wire it is a byte for the type, the id of the stream as 32 bits in little endian, and a payload.
///
/// ```
/// use runtime_webhook::wsmux::{Frame, Kind};
///
/// let frame = Frame { stream: 2, kind: Kind::Ack(4 << 20) };
/// let bytes = frame.encode();
/// assert_eq!(bytes[..], [2, 2, 0, 0, 0, 0, 0, 0x40, 0]);
/// assert_eq!(Frame::decode(bytes)?, frame);
/// # Ok::<(), runtime_webhook::wsmux::FrameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The id of the stream. Those that the server opens are even, those that the client opens are odd.
    pub stream: u32,
    /// What happens to the stream.
    pub kind: Kind,
}

/// What happens to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of the stream.
    Dat(Bytes),
    /// The sender opens the stream.
    Syn,
    /// The receiver takes so many more bytes; the first one for a stream also accepts it.
    Ack(u32),
    /// The sender has no more bytes.
    Fin,
}

impl Frame {
    /// Reads a message; the bytes of the stream are not copied.
    ///
    /// # Errors
    ///
    /// A [`FrameError`] if the message is none of the four kinds, to the byte.
    pub fn decode(message: Bytes) -> Result<Self, FrameError> {
        let Some((header, payload)) = message.split_first_chunk::<HEADER>() else {
            return Err(FrameError::Short { len: message.len() });
        };
        let [kind, id @ ..] = *header;
        let len = payload.len();
        let kind = match (kind, len) {
            (DAT, _) => Kind::Dat(message.slice(HEADER..)),
            (SYN, 0) => Kind::Syn,
            (FIN, 0) => Kind::Fin,
            (ACK, 4) => Kind::Ack(u32::from_le_bytes([
                payload[0], payload[1], payload[2], payload[3],
            ])),
            (SYN | ACK | FIN, _) => return Err(FrameError::Payload { kind, len }),
            (kind, _) => return Err(FrameError::Type { kind }),
        };
        let stream = u32::from_le_bytes(id);
        Ok(Self { stream, kind })
    }

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (kind, payload): (u8, &[u8]) = match &self.kind {
            Kind::Dat(bytes) => (DAT, bytes),
            Kind::Syn => (SYN, &[]),
            Kind::Ack(bytes) => (ACK, &bytes.to_le_bytes()),
            Kind::Fin => (FIN, &[]),
        };
        let mut message = BytesMut::with_capacity(HEADER + payload.len());
        message.put_u8(kind);
        message.put_u32_le(self.stream);
        message.put_slice(payload);
        message.freeze()
    }
}

/// Begins a message of data, with room for `len` bytes.
pub(super) fn begin_data(stream: u32, len: usize) -> BytesMut {
    let mut message = BytesMut::with_capacity(HEADER + len);
    message.put_u8(DAT);
    message.put_u32_le(stream);
    message
}

/// A message that is no frame; the session ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is not even a header.
    #[error("a message of {len} bytes is shorter than the header of a frame, which has 5")]
    Short {
        /// The bytes of the message.
        len: usize,
    },

    /// There is no such type of frame.
    #[error("there is no frame of type {kind}")]
    Type {
        /// The type.
        kind: u8,
    },

    /// A frame of this type has a payload of another length.
    #[error("a frame of type {kind} cannot have a payload of {len} bytes")]
    Payload {
        /// The type.
        kind: u8,
        /// The bytes of the payload.
        len: usize,
    },
}
