//! The codec of frame headers, RFC 6455 section 5.2.

use super::mask::MaskKey;
use crate::wsmux::error::WebSocketViolation;

/// The maximum length of a header.
pub(super) const MAX_HEADER_BYTES: usize = 14;

/// The maximum payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

const FINAL_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0f;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) opcode: Opcode,
    /// Whether the frame is the last of its message.
    pub(super) is_final: bool,
    pub(super) key: Option<MaskKey>,
    pub(super) payload_len: u64,
}

impl FrameHeader {
    /// Decodes the header at the start of `bytes` and returns it with its length, or `None` if it is incomplete.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WebSocketViolation> {
        let Some((&[first, second], mut rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        if first & RESERVED_BITS != 0 {
            return Err(WebSocketViolation::ReservedBits);
        }
        let opcode = match first & OPCODE_BITS {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            opcode => return Err(WebSocketViolation::Opcode { opcode }),
        };
        let payload_len = match second & LENGTH_BITS {
            126 => take(&mut rest).map(|len| u16::from_be_bytes(len).into()),
            127 => take(&mut rest).map(u64::from_be_bytes),
            len => Some(len.into()),
        };
        let key = if second & MASK_BIT == 0 {
            Some(None)
        } else {
            take(&mut rest).map(Some)
        };
        let (Some(payload_len), Some(key)) = (payload_len, key) else {
            return Ok(None);
        };
        let is_final = first & FINAL_BIT != 0;
        if opcode.is_control() && (!is_final || payload_len > MAX_CONTROL_BYTES) {
            return Err(WebSocketViolation::ControlFrame);
        }
        let header = Self {
            opcode,
            is_final,
            key,
            payload_len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Writes the header at the end of `target` and returns its length.
    pub(super) fn encode(&self, target: &mut [u8; MAX_HEADER_BYTES]) -> usize {
        let mut header = Vec::with_capacity(MAX_HEADER_BYTES);
        let final_bit = if self.is_final { FINAL_BIT } else { 0 };
        let mask_bit = if self.key.is_some() { MASK_BIT } else { 0 };
        header.push(final_bit | self.opcode as u8);
        match (
            u8::try_from(self.payload_len),
            u16::try_from(self.payload_len),
        ) {
            (Ok(len @ 0..126), _) => header.push(mask_bit | len),
            (_, Ok(len)) => {
                header.push(mask_bit | 126);
                header.extend(len.to_be_bytes());
            }
            _ => {
                header.push(mask_bit | 127);
                header.extend(self.payload_len.to_be_bytes());
            }
        }
        header.extend(self.key.iter().flatten());
        target[MAX_HEADER_BYTES - header.len()..].copy_from_slice(&header);
        header.len()
    }
}

/// Removes the first bytes, or returns `None` if there are not enough.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(all(test, not(runtime_loom)))]
mod tests {
    use super::*;

    fn header(payload_len: u64, key: Option<MaskKey>) -> FrameHeader {
        FrameHeader {
            opcode: Opcode::Binary,
            is_final: true,
            key,
            payload_len,
        }
    }

    #[test]
    fn headers_match_the_rfc() {
        let check = |header: FrameHeader, bytes: &[u8]| {
            let mut target = [0; MAX_HEADER_BYTES];
            let len = header.encode(&mut target);
            assert_eq!(target[MAX_HEADER_BYTES - len..], *bytes);
            assert_eq!(
                FrameHeader::decode(&[bytes, b"payload"].concat()),
                Ok(Some((header, bytes.len())))
            );
            for end in 0..bytes.len() {
                assert_eq!(FrameHeader::decode(&bytes[..end]), Ok(None));
            }
        };
        check(header(125, None), b"\x82\x7d");
        check(header(256, None), b"\x82\x7e\x01\x00");
        check(header(65_535, Some(*b"abcd")), b"\x82\xfe\xff\xffabcd");
        check(header(65_536, None), b"\x82\x7f\0\0\0\0\0\x01\0\0");
        let ping = FrameHeader {
            opcode: Opcode::Ping,
            ..header(0, Some(*b"abcd"))
        };
        check(ping, b"\x89\x80abcd");
    }

    #[test]
    fn invalid_headers_are_violations() {
        let check = |bytes: &[u8], violation| {
            assert_eq!(FrameHeader::decode(bytes), Err(violation));
        };
        check(b"\xc2\x00", WebSocketViolation::ReservedBits);
        check(b"\x83\x00", WebSocketViolation::Opcode { opcode: 3 });
        check(b"\x09\x00", WebSocketViolation::ControlFrame);
        check(b"\x89\x7e\x00\x7e", WebSocketViolation::ControlFrame);
    }
}
