//! A decoded frame encodes to the same bytes, and an invalid one has the right error.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use runtime_webhook::wsmux::{Frame, FrameError};

fuzz_target!(|message: &[u8]| {
    match Frame::decode(Bytes::copy_from_slice(message)) {
        Ok(frame) => assert_eq!(frame.encode(), message),
        Err(FrameError::Short { len }) => assert!(len == message.len() && len < 5),
        Err(FrameError::Type { kind }) => assert!(kind == message[0] && kind > 3),
        Err(FrameError::Payload { kind, len }) => {
            assert!(kind == message[0] && (1..=3).contains(&kind) && len == message.len() - 5);
        }
        Err(error) => panic!("{error:?}"),
    }
});
