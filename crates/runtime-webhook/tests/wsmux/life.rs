//! How streams and sessions end.

use std::io::ErrorKind;
use std::time::Duration;

use runtime_webhook::wsmux::{FrameKind, OpenStreamError, Role, Session, SessionConfig, SessionError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{pair, pattern, raw, read_all};

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let (client, server) = pair(SessionConfig::default(), SessionConfig::default(), 100).await;
    tokio::spawn(async move {
        let mut stream = client.accept().await.expect("a stream");
        let request = read_all(&mut stream).await;
        stream.write_all(&request).await.expect("the peer reads");
        stream.shutdown().await.expect("it ends");
    });
    let mut stream = server.open().await.expect("it is accepted");
    stream
        .write_all(&pattern(3, 10_000))
        .await
        .expect("it is read");
    stream.shutdown().await.expect("it ends");
    assert!(stream.write_all(b"more").await.is_err());
    assert_eq!(read_all(&mut stream).await, pattern(3, 10_000));
}

#[tokio::test]
async fn what_was_written_is_sent_before_the_end() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    stream.write_all(b"last").await.expect("there is room");
    drop(stream);
    peer.expect(0, FrameKind::Dat(b"last".as_slice().into())).await;
    peer.expect(0, FrameKind::Fin).await;
}

#[tokio::test]
async fn after_the_session_what_came_is_read_and_then_an_error() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.data(0, b"part").await;
    drop(peer);
    let error = ended.await.expect("the driver").expect_err("it broke");
    assert!(matches!(error, SessionError::Eof), "{error:?}");
    let mut part = [0; 4];
    stream.read_exact(&mut part).await.expect("it came before");
    assert_eq!(&part, b"part");
    let error = stream.read_u8().await.expect_err("nobody knows the rest");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(stream.write_all(b"x").await.is_err());
    assert!(client.accept().await.is_none());
    assert_eq!(client.open().await.err(), Some(OpenStreamError::Ended));
}

#[tokio::test]
async fn a_dropped_driver_cuts_all_streams() {
    let (here, _there) = tokio::io::duplex(100);
    let (client, driver) = Session::start(here, Role::Client, SessionConfig::default()).await;
    let accept = tokio::spawn(async move { client.accept().await.is_none() });
    tokio::task::yield_now().await;
    drop(driver);
    assert!(accept.await.expect("the acceptor"));
}

#[tokio::test]
async fn closing_lets_streams_finish_and_says_goodbye() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    client.close();
    peer.send(2, FrameKind::Syn).await;
    peer.expect(2, FrameKind::Fin).await;
    stream.write_all(b"rest").await.expect("it goes on");
    drop(stream);
    peer.expect(0, FrameKind::Dat(b"rest".as_slice().into())).await;
    peer.expect(0, FrameKind::Fin).await;
    let Message::Close(Some(frame)) = peer.message().await else {
        panic!("a goodbye");
    };
    assert_eq!(u16::from(frame.code), 1000);
    drop(peer);
    ended.await.expect("the driver").expect("it was asked to");
}

/// A socket with something unread is reset when it is closed, and the peer may lose what it has not read.
#[tokio::test(start_paused = true)]
async fn the_peer_ends_the_connection_after_a_goodbye() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    client.close();
    // The peer has not read the goodbye yet, and is still sending.
    tokio::time::sleep(Duration::from_millis(400)).await;
    peer.send(2, FrameKind::Syn).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!ended.is_finished(), "it closed the connection first");
    drop(peer);
    ended.await.expect("the driver").expect("it was asked to");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hears_no_goodbye_is_left_to_itself() {
    let (client, ended, _peer) = raw(SessionConfig::default(), 1 << 20).await;
    let before = tokio::time::Instant::now();
    client.close();
    ended.await.expect("the driver").expect("it was asked to");
    assert_eq!(before.elapsed().as_secs(), 1);
}

#[tokio::test]
async fn what_came_before_the_end_can_be_read_after_a_flush() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.data(0, b"answer").await;
    peer.send(0, FrameKind::Fin).await;
    peer.send_message(Message::Close(None)).await;
    ended.await.expect("the driver").expect_err("the peer left");
    stream.flush().await.expect("there is nothing to send");
    assert_eq!(read_all(&mut stream).await, b"answer");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_given_up() {
    let (_client, ended, peer) = raw(SessionConfig::default(), 1 << 20).await;
    let before = tokio::time::Instant::now();
    // It does not read, so it answers no ping.
    let error = ended.await.expect("the driver").expect_err("nothing came");
    assert!(
        matches!(error, SessionError::PingTimeout { seconds: 20 }),
        "{error:?}"
    );
    assert!(before.elapsed() <= Duration::from_secs(41));
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_kept() {
    let (client, ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let reading = tokio::spawn(async move { peer.try_message().await.map(drop) });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!ended.is_finished() && !reading.is_finished());
    client.close();
    ended.await.expect("the driver").expect("it was asked to");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_a_stream_keeps_nothing_alive() {
    let mut config = SessionConfig::default();
    config.max_streams = 1;
    let (client, _ended, mut peer) = raw(config, 1 << 20).await;
    drop(peer.open(&client, 0).await);
    peer.expect(0, FrameKind::Fin).await;
    peer.send(2, FrameKind::Syn).await;
    peer.expect(2, FrameKind::Fin).await;
    // Answers the pings meanwhile.
    let waited = tokio::time::timeout(Duration::from_secs(61), peer.try_message()).await;
    assert!(waited.is_err(), "{waited:?}");
    let _stream = peer.open(&client, 4).await;
}
