//! What clients say.

use bytes::{Buf as _, Bytes};

const STDIN: u8 = 1;
const RESIZE: u8 = 2;

/// A message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Typed(Bytes),
    Resize { columns: u16, rows: u16 },
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    #[error("an empty message")]
    Empty,
    #[error("there is no message of kind {0}")]
    Kind(u8),
    #[error("a size has 4 bytes, not {0}")]
    Size(usize),
}

impl Input {
    pub(super) fn decode(mut message: Bytes) -> Result<Self, InputError> {
        match message.try_get_u8().map_err(|_| InputError::Empty)? {
            STDIN => Ok(Self::Typed(message)),
            RESIZE if message.len() == 4 => Ok(Self::Resize {
                columns: message.get_u16_le(),
                rows: message.get_u16_le(),
            }),
            RESIZE => Err(InputError::Size(message.len())),
            kind => Err(InputError::Kind(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &'static [u8]) -> Result<Input, InputError> {
        Input::decode(Bytes::from_static(bytes))
    }

    #[test]
    fn messages_are_those_of_the_user_interface() {
        assert_eq!(
            decode(b"\x01ls\r"),
            Ok(Input::Typed(Bytes::from_static(b"ls\r")))
        );
        assert_eq!(decode(b"\x01"), Ok(Input::Typed(Bytes::new())));
        let size = Input::Resize {
            columns: 132,
            rows: 300,
        };
        assert_eq!(decode(b"\x02\x84\0\x2c\x01"), Ok(size));
    }

    #[test]
    fn what_is_no_message_says_why() {
        assert_eq!(decode(b""), Err(InputError::Empty));
        assert_eq!(decode(b"\0x"), Err(InputError::Kind(0)));
        assert_eq!(decode(b"\x02\x01\0\x01"), Err(InputError::Size(3)));
    }
}
