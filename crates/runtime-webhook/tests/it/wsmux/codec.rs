//! The encoding of frames, compared with the real server and client.

use bytes::Bytes;
use proptest::prelude::*;
use runtime_webhook::wsmux::{Frame, FrameError, FrameKind};

fn check(stream: u32, kind: FrameKind, bytes: &[u8]) {
    let frame = Frame { stream, kind };
    assert_eq!(frame.encode(), bytes, "{frame:?}");
    assert_eq!(Frame::decode(Bytes::copy_from_slice(bytes)), Ok(frame));
}

#[test]
fn frames_match_the_real_server() {
    // Captured between the real server and client.
    check(0, FrameKind::Syn, b"\x01\0\0\0\0");
    check(0, FrameKind::Ack(4_194_304), b"\x02\0\0\0\0\0\0\x40\0");
    check(0, FrameKind::Fin, b"\x03\0\0\0\0");
    let head = Bytes::from_static(b"POST /hello HTTP/1.1\r\n");
    check(
        0,
        FrameKind::Dat(head),
        b"\0\0\0\0\0POST /hello HTTP/1.1\r\n",
    );
    check(0x0102_0304, FrameKind::Syn, b"\x01\x04\x03\x02\x01");
}

#[test]
fn invalid_frame_has_a_reason() {
    let refused = |bytes: &'static [u8]| {
        Frame::decode(Bytes::from_static(bytes)).expect_err("an invalid frame")
    };
    assert_eq!(refused(b""), FrameError::Short { len: 0 });
    assert_eq!(refused(b"\x01\0\0\0"), FrameError::Short { len: 4 });
    assert_eq!(refused(b"\x04\0\0\0\0"), FrameError::Type { kind: 4 });
    for (bytes, kind, len) in [
        (b"\x01\0\0\0\0x".as_slice(), 1, 1),
        (b"\x02\0\0\0\0\0\0\0", 2, 3),
        (b"\x02\0\0\0\0\0\0\0\0\0", 2, 5),
        (b"\x03\0\0\0\0xy", 3, 2),
    ] {
        assert_eq!(refused(bytes), FrameError::Payload { kind, len });
    }
}

fn kinds() -> impl Strategy<Value = FrameKind> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100)
            .prop_map(|bytes| FrameKind::Dat(bytes.into())),
        Just(FrameKind::Syn),
        any::<u32>().prop_map(FrameKind::Ack),
        Just(FrameKind::Fin),
    ]
}

proptest! {
    #[test]
    fn encoded_frame_decodes_to_itself(stream: u32, kind in kinds()) {
        let frame = Frame { stream, kind };
        prop_assert_eq!(Frame::decode(frame.encode()), Ok(frame));
    }

    #[test]
    fn decoded_message_encodes_to_itself(bytes in proptest::collection::vec(0_u8..6, 0..12)) {
        let bytes = Bytes::from(bytes);
        if let Ok(frame) = Frame::decode(bytes.clone()) {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }
}
