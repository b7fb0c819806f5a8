//! A peer that violates the protocol, or deviates from it as the real server does.

use runtime_webhook::wsmux::{FrameKind, SessionConfig, SessionError};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::support::{raw, read_all};

async fn check_closed(message: Message, reason: &str) {
    let (_client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    peer.send_message(message).await;
    let Message::Close(Some(frame)) = peer.message().await else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1008);
    assert!(frame.reason.contains(reason), "{frame:?}");
    let error = ended.await.expect("the driver").expect_err("an error");
    assert!(
        matches!(error, SessionError::Frame(_) | SessionError::Text),
        "{error:?}"
    );
}

#[tokio::test]
async fn invalid_frame_closes_with_1008() {
    check_closed(Message::Binary(b"\x01\0".as_slice().into()), "shorter than").await;
    check_closed(Message::Binary(b"\x04\0\0\0\0".as_slice().into()), "type 4").await;
    check_closed(
        Message::Binary(b"\x02\0\0\0\0\0\0\0".as_slice().into()),
        "3 bytes",
    )
    .await;
    check_closed(Message::Text("hello".into()), "text").await;
}

#[tokio::test]
async fn unknown_streams_are_ignored() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    peer.data(8, b"x").await;
    peer.send(8, FrameKind::Ack(5)).await;
    peer.send(8, FrameKind::Fin).await;
    // An id reserved for the client.
    peer.send(7, FrameKind::Syn).await;
    let _stream = peer.open(&client, 0).await;
}

#[tokio::test]
async fn second_syn_and_late_data_are_ignored() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.send(0, FrameKind::Syn).await;
    peer.data(0, b"").await;
    peer.data(0, b"all").await;
    peer.send(0, FrameKind::Fin).await;
    peer.data(0, b"more").await;
    assert_eq!(read_all(&mut stream).await, b"all");
}

#[tokio::test]
async fn credit_cannot_overflow() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.send(0, FrameKind::Ack(u32::MAX)).await;
    peer.send(0, FrameKind::Ack(u32::MAX)).await;
    peer.data(0, b"x").await;
    assert_eq!(stream.read_u8().await.expect("no error"), b'x');
}

#[tokio::test]
async fn pings_are_answered_despite_unread_streams() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let _stream = peer.open(&client, 0).await;
    peer.data(0, &[0; 1 << 20]).await;
    peer.send_message(Message::Ping(b"there?".as_slice().into()))
        .await;
    use futures_util::StreamExt as _;
    loop {
        let message = peer
            .websocket
            .next()
            .await
            .expect("a message")
            .expect("no error");
        if let Message::Pong(bytes) = message {
            assert_eq!(bytes, b"there?".as_slice());
            break;
        }
    }
}

#[tokio::test]
async fn close_frame_is_reported() {
    let (_client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: 1001.into(),
        reason: "going away".into(),
    };
    peer.send_message(Message::Close(Some(close))).await;
    let error = ended
        .await
        .expect("the driver")
        .expect_err("a closed session");
    assert!(error.to_string().contains("1001") && error.to_string().contains("going away"));
}
