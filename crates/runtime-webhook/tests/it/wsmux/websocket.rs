//! WebSocket frames that sessions never send, and violations of RFC 6455.

use proptest::prelude::*;
use runtime_webhook::wsmux::{FrameKind, Role, Session, SessionConfig, SessionError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Raw, raw};

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const PING: u8 = 9;
const FINAL: u8 = 0x80;

/// Sends a short frame without a mask.
async fn send(peer: &mut Raw, first: u8, payload: &[u8]) {
    let len = u8::try_from(payload.len()).expect("a short payload");
    let frame = [&[first, len], payload].concat();
    let connection = peer.websocket.get_mut();
    connection.write_all(&frame).await.expect("a write");
}

#[tokio::test]
async fn fragments_form_one_message() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    // The fragments split the headers of the frames, and one is empty.
    send(&mut peer, BINARY, b"\x01\0\0").await;
    send(&mut peer, CONTINUATION, b"\0").await;
    send(&mut peer, FINAL | CONTINUATION, b"\0").await;
    let mut stream = client.accept().await.expect("a stream");
    peer.expect(0, FrameKind::Ack(1 << 20)).await;
    send(&mut peer, BINARY, b"\0\0\0").await;
    send(&mut peer, CONTINUATION, b"\0\0a").await;
    send(&mut peer, FINAL | PING, b"between").await;
    send(&mut peer, CONTINUATION, b"").await;
    send(&mut peer, FINAL | CONTINUATION, b"ll").await;
    let mut all = [0; 3];
    stream.read_exact(&mut all).await.expect("data");
    assert_eq!(&all, b"all");
}

#[tokio::test]
async fn data_is_readable_before_the_message_ends() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    send(&mut peer, BINARY, b"\0\0\0\0\0part").await;
    let mut part = [0; 4];
    stream.read_exact(&mut part).await.expect("data");
    assert_eq!(&part, b"part");
}

#[tokio::test]
async fn violation_closes_with_1002() {
    for bytes in [
        // A reserved bit, and an unknown opcode.
        b"\xc2\x00".as_slice(),
        b"\x83\x00",
        // A mask from the server.
        b"\x82\x85keys\0\0\0\0\0",
        // A continuation of nothing, and a message within another one.
        b"\x80\x00",
        b"\x02\x00\x82\x00",
        // A fragmented and a long control frame, and half a close code.
        b"\x09\x00",
        b"\x89\x7e\x00\x7e",
        b"\x88\x01\x03",
    ] {
        let (_client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
        let connection = peer.websocket.get_mut();
        connection.write_all(bytes).await.expect("a write");
        let Message::Close(Some(frame)) = peer.message().await else {
            panic!("no close frame after {bytes:?}");
        };
        assert_eq!(u16::from(frame.code), 1002, "{bytes:?}");
        drop(peer);
        let error = ended.await.expect("the driver").expect_err("an error");
        assert!(matches!(error, SessionError::WebSocket(_)), "{error:?}");
    }
}

#[tokio::test]
async fn unmasked_client_is_rejected() {
    let (here, mut there) = tokio::io::duplex(1024);
    let (_server, driver) = Session::start(here, Role::Server, SessionConfig::default()).await;
    let ended = tokio::spawn(driver);
    there.write_all(b"\x82\x00").await.expect("a write");
    // Possibly after a ping, which each session sends first.
    let mut sent = Vec::new();
    while !sent.ends_with(b"\x88\x02\x03\xea") {
        sent.push(there.read_u8().await.expect("a close frame"));
    }
    drop(there);
    let error = ended.await.expect("the driver").expect_err("an error");
    assert!(matches!(error, SessionError::WebSocket(_)), "{error:?}");
}

proptest! {
    #[test]
    fn any_bytes_end_the_session_without_a_panic(
        is_client: bool,
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20),
    ) {
        let role = if is_client { Role::Client } else { Role::Server };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let ended = runtime.block_on(async {
            let (here, mut there) = tokio::io::duplex(1 << 16);
            let (session, driver) = Session::start(here, role, SessionConfig::default()).await;
            let driver = tokio::spawn(driver);
            for part in parts {
                // Fails if the session has ended.
                let _ = there.write_all(&part).await;
                tokio::task::yield_now().await;
            }
            drop(there);
            while session.accept().await.is_some() {}
            driver.await
        });
        prop_assert!(ended.is_ok(), "{ended:?}");
    }
}
