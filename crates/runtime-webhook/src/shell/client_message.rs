//! The messages of a shell client.

use bytes::{Buf as _, Bytes};

const STDIN: u8 = 1;
const RESIZE: u8 = 2;

/// A message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    Input(Bytes),
    Resize { rows: u16, columns: u16 },
}

/// The bytes are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("empty message")]
    Empty,
    #[error("unknown message type {0}")]
    UnknownType(u8),
    #[error("invalid resize message: expected 4 bytes, received {0}")]
    ResizeLength(usize),
}

impl ClientMessage {
    pub(super) fn decode(mut message: Bytes) -> Result<Self, DecodeError> {
        match message.try_get_u8().map_err(|_| DecodeError::Empty)? {
            STDIN => Ok(Self::Input(message)),
            RESIZE if message.len() == 4 => Ok(Self::Resize {
                rows: message.get_u16_le(),
                columns: message.get_u16_le(),
            }),
            RESIZE => Err(DecodeError::ResizeLength(message.len())),
            other => Err(DecodeError::UnknownType(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &'static [u8]) -> Result<ClientMessage, DecodeError> {
        ClientMessage::decode(Bytes::from_static(bytes))
    }

    #[test]
    fn messages_match_the_user_interface() {
        let input = ClientMessage::Input(Bytes::from_static(b"ls\r"));
        assert_eq!(decode(b"\x01ls\r"), Ok(input));
        assert_eq!(decode(b"\x01"), Ok(ClientMessage::Input(Bytes::new())));
        let resize = ClientMessage::Resize {
            rows: 132,
            columns: 300,
        };
        assert_eq!(decode(b"\x02\x84\0\x2c\x01"), Ok(resize));
    }

    #[test]
    fn invalid_message_has_a_reason() {
        assert_eq!(decode(b""), Err(DecodeError::Empty));
        assert_eq!(decode(b"\0x"), Err(DecodeError::UnknownType(0)));
        assert_eq!(decode(b"\x02\x01\0\x01"), Err(DecodeError::ResizeLength(3)));
    }
}
