//! The end of streams and sessions.

use std::io::ErrorKind;
use std::time::Duration;

use runtime_webhook::wsmux::{
    FrameKind, OpenStreamError, Role, Session, SessionConfig, SessionError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::support::{pair, pattern, raw, read_all};

#[tokio::test]
async fn directions_end_independently() {
    let (client, server) = pair(SessionConfig::default(), SessionConfig::default(), 100).await;
    tokio::spawn(async move {
        let mut stream = client.accept().await.expect("a stream");
        let request = read_all(&mut stream).await;
        stream.write_all(&request).await.expect("a write");
        stream.shutdown().await.expect("ended");
    });
    let mut stream = server.open().await.expect("accepted");
    stream
        .write_all(&pattern(3, 10_000))
        .await
        .expect("a write");
    stream.shutdown().await.expect("ended");
    assert!(stream.write_all(b"more").await.is_err());
    assert_eq!(read_all(&mut stream).await, pattern(3, 10_000));
}

#[tokio::test]
async fn written_data_precedes_fin() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    stream.write_all(b"last").await.expect("a write");
    drop(stream);
    peer.expect(0, FrameKind::Dat(b"last".as_slice().into()))
        .await;
    peer.expect(0, FrameKind::Fin).await;
}

#[tokio::test]
async fn received_data_is_readable_after_the_session() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.data(0, b"part").await;
    drop(peer);
    let error = ended.await.expect("the driver").expect_err("an error");
    assert!(matches!(error, SessionError::Eof), "{error:?}");
    let mut part = [0; 4];
    stream.read_exact(&mut part).await.expect("received data");
    assert_eq!(&part, b"part");
    let error = stream.read_u8().await.expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(stream.write_all(b"x").await.is_err());
    assert!(client.accept().await.is_none());
    assert_eq!(client.open().await.err(), Some(OpenStreamError::Ended));
}

#[tokio::test]
async fn dropped_driver_ends_all_streams() {
    let (here, _there) = tokio::io::duplex(100);
    let (client, driver) = Session::start(here, Role::Client, SessionConfig::default()).await;
    let accept = tokio::spawn(async move { client.accept().await.is_none() });
    tokio::task::yield_now().await;
    drop(driver);
    assert!(accept.await.expect("the acceptor"));
}

#[tokio::test]
async fn close_waits_for_streams() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    client.close();
    peer.send(2, FrameKind::Syn).await;
    peer.expect(2, FrameKind::Fin).await;
    stream.write_all(b"rest").await.expect("no error");
    drop(stream);
    peer.expect(0, FrameKind::Dat(b"rest".as_slice().into()))
        .await;
    peer.expect(0, FrameKind::Fin).await;
    let Message::Close(Some(frame)) = peer.message().await else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1000);
    drop(peer);
    ended.await.expect("the driver").expect("a clean close");
}

/// Closing a socket with unread data sends RST, and the peer could lose received data.
#[tokio::test(start_paused = true)]
async fn peer_closes_the_connection_first() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    client.close();
    // The peer has not read the close frame yet and still sends.
    tokio::time::sleep(Duration::from_millis(400)).await;
    peer.send(2, FrameKind::Syn).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(
        !ended.is_finished(),
        "the session closed the connection first"
    );
    drop(peer);
    ended.await.expect("the driver").expect("a clean close");
}

#[tokio::test(start_paused = true)]
async fn close_handshake_times_out() {
    let (client, ended, _peer) = raw(SessionConfig::default(), 1 << 20).await;
    let before = tokio::time::Instant::now();
    client.close();
    ended.await.expect("the driver").expect("a clean close");
    assert_eq!(before.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn flush_after_the_session_succeeds() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.data(0, b"answer").await;
    peer.send(0, FrameKind::Fin).await;
    peer.send_message(Message::Close(None)).await;
    ended
        .await
        .expect("the driver")
        .expect_err("a closed session");
    stream.flush().await.expect("a flush");
    assert_eq!(read_all(&mut stream).await, b"answer");
}

#[tokio::test(start_paused = true)]
async fn silent_peer_times_out() {
    let (_client, ended, peer) = raw(SessionConfig::default(), 1 << 20).await;
    let before = tokio::time::Instant::now();
    // A peer that does not read answers no pings.
    let error = ended.await.expect("the driver").expect_err("a timeout");
    assert!(
        matches!(error, SessionError::PingTimeout { seconds: 20 }),
        "{error:?}"
    );
    assert!(before.elapsed() <= Duration::from_secs(41));
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn responsive_peer_stays_connected() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let reading = tokio::spawn(async move { peer.try_message().await.map(drop) });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!ended.is_finished() && !reading.is_finished());
    client.close();
    ended.await.expect("the driver").expect("a clean close");
}

#[tokio::test(start_paused = true)]
async fn missing_fin_does_not_leak_streams() {
    let mut config = SessionConfig::default();
    config.max_streams = 1;
    let (client, _ended, mut peer) = raw(config, 1 << 20).await;
    drop(peer.open(&client, 0).await);
    peer.expect(0, FrameKind::Fin).await;
    peer.send(2, FrameKind::Syn).await;
    peer.expect(2, FrameKind::Fin).await;
    // Reading answers the pings.
    let waited = tokio::time::timeout(Duration::from_secs(61), peer.try_message()).await;
    assert!(waited.is_err(), "{waited:?}");
    let _stream = peer.open(&client, 4).await;
}
