//! Flow control and fairness between streams.

use std::time::Duration;

use runtime_webhook::wsmux::{Frame, FrameKind, OpenStreamError, SessionConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::support::{pair, pattern, raw, read_all};

fn windows(receive: u32, assumed: u32) -> SessionConfig {
    let mut config = SessionConfig::default();
    config.receive_window = receive;
    config.assumed_window = assumed;
    config
}

#[tokio::test]
async fn first_ack_announces_the_window() {
    let (client, _ended, mut peer) = raw(windows(77_777, 1024), 1024).await;
    peer.send(0, FrameKind::Syn).await;
    let _stream = client.accept().await.expect("a stream");
    peer.expect(0, FrameKind::Ack(77_777)).await;
}

#[tokio::test(start_paused = true)]
async fn data_never_exceeds_the_credit() {
    let (client, _ended, mut peer) = raw(windows(1024, 10), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    tokio::spawn(async move { stream.write_all(&pattern(0, 30)).await });
    let mut seen = Vec::new();
    for (allowed, more) in [(10, 7), (17, 0), (17, 13), (30, 0)] {
        // The paused clock advances only when all tasks are idle.
        while let Ok(frame) = timeout(Duration::from_secs(1), peer.frame()).await {
            if let FrameKind::Dat(bytes) = frame.kind {
                seen.extend_from_slice(&bytes);
            }
        }
        assert_eq!(seen.len(), allowed);
        peer.send(0, FrameKind::Ack(more)).await;
    }
    assert_eq!(seen, pattern(0, 30));
}

#[tokio::test]
async fn ack_follows_half_a_window() {
    let (client, _ended, mut peer) = raw(windows(1000, 1024), 1 << 20).await;
    let mut stream = peer.open(&client, 0).await;
    peer.data(0, &[0; 499]).await;
    stream.read_exact(&mut [0; 499]).await.expect("data");
    peer.data(0, &[0; 501]).await;
    stream.read_exact(&mut [0; 501]).await.expect("data");
    peer.expect(0, FrameKind::Ack(1000)).await;
}

#[tokio::test]
async fn message_may_fill_the_window() {
    let (client, _ended, mut peer) = raw(windows(1 << 20, 1024), 4096).await;
    let mut stream = peer.open(&client, 0).await;
    let sending = tokio::spawn(async move {
        peer.data(0, &pattern(5, 1 << 20)).await;
        peer.send(0, FrameKind::Fin).await;
        peer
    });
    assert_eq!(read_all(&mut stream).await, pattern(5, 1 << 20));
    sending.await.expect("the peer");
}

#[tokio::test]
async fn overflow_ends_only_its_stream() {
    let (client, _ended, mut peer) = raw(windows(100, 1024), 1 << 20).await;
    let mut first = peer.open(&client, 0).await;
    let mut second = peer.open(&client, 2).await;
    peer.data(0, &[0; 101]).await;
    peer.expect(0, FrameKind::Fin).await;
    let error = first.read_u8().await.expect_err("an overflow");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    peer.data(2, b"x").await;
    assert_eq!(second.read_u8().await.expect("no error"), b'x');
}

#[tokio::test]
async fn unread_stream_does_not_block_others() {
    let (client, server) = pair(windows(1000, 1 << 20), SessionConfig::default(), 100).await;
    let accept = tokio::spawn(async move {
        let unread = client.accept().await.expect("the first stream");
        let mut read = client.accept().await.expect("the second stream");
        (read_all(&mut read).await, unread)
    });
    let mut unread = server.open().await.expect("accepted");
    tokio::spawn(async move { unread.write_all(&pattern(0, 100_000)).await });
    let mut read = server.open().await.expect("accepted");
    read.write_all(&pattern(1, 100_000)).await.expect("a write");
    drop(read);
    assert_eq!(accept.await.expect("the other end").0, pattern(1, 100_000));
}

#[tokio::test]
async fn streams_take_turns() {
    let (client, _ended, mut peer) = raw(windows(1000, 1 << 20), 1000).await;
    let mut order = Vec::new();
    let mut streams = Vec::new();
    for id in [0, 2, 4] {
        streams.push(peer.open(&client, id).await);
    }
    let writes = streams.into_iter().map(|mut stream| {
        tokio::spawn(async move { stream.write_all(&pattern(0, 640 * 1024)).await })
    });
    let writes: Vec<_> = writes.collect();
    // The first messages were sent before all streams had data.
    for _ in 0..30 {
        if let Frame {
            stream,
            kind: FrameKind::Dat(_),
        } = peer.frame().await
        {
            order.push(stream);
        }
    }
    let late = &order[order.len() - 9..];
    for id in [0, 2, 4] {
        assert_eq!(
            late.iter().filter(|stream| **stream == id).count(),
            3,
            "{order:?}"
        );
    }
    writes.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn data_for_dropped_stream_is_acknowledged() {
    let (client, _ended, mut peer) = raw(windows(100, 1024), 1 << 20).await;
    let stream = peer.open(&client, 0).await;
    peer.data(0, &[0; 70]).await;
    drop(stream);
    let mut acknowledged = 0;
    let mut ended = false;
    let mut sent = 70;
    while sent < 1000 {
        match peer.frame().await.kind {
            FrameKind::Ack(bytes) => {
                acknowledged += bytes as usize;
                let more = (100 + acknowledged - sent).min(100);
                peer.data(0, &vec![0; more]).await;
                sent += more;
            }
            FrameKind::Fin => {
                ended = true;
                peer.data(0, &[0; 30]).await;
                sent += 30;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(ended);
}

#[tokio::test]
async fn excess_streams_are_refused() {
    let mut config = windows(100, 100);
    config.max_streams = 2;
    let (client, _ended, mut peer) = raw(config, 1 << 20).await;
    let _first = peer.open(&client, 0).await;
    let _second = peer.open(&client, 2).await;
    peer.send(4, FrameKind::Syn).await;
    peer.expect(4, FrameKind::Fin).await;
}

#[tokio::test]
async fn unaccepted_streams_are_bounded() {
    let mut config = windows(100, 100);
    config.accept_backlog = 1;
    let (_client, _ended, mut peer) = raw(config, 1 << 20).await;
    peer.send(0, FrameKind::Syn).await;
    peer.send(2, FrameKind::Syn).await;
    peer.expect(2, FrameKind::Fin).await;
}

#[tokio::test(start_paused = true)]
async fn open_times_out() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let reading = tokio::spawn(async move {
        peer.expect(1, FrameKind::Syn).await;
        peer.expect(1, FrameKind::Fin).await;
        // Reading answers the pings.
        peer.try_message().await.is_ok()
    });
    let error = client.open().await.expect_err("a timeout");
    assert_eq!(error, OpenStreamError::Timeout { seconds: 30 });
    reading.abort();
}

#[tokio::test]
async fn refused_stream_fails_at_once() {
    let (client, _ended, mut peer) = raw(SessionConfig::default(), 1 << 20).await;
    let open = tokio::spawn(async move { client.open().await.map(drop) });
    peer.expect(1, FrameKind::Syn).await;
    peer.send(1, FrameKind::Fin).await;
    assert_eq!(
        open.await.expect("the client"),
        Err(OpenStreamError::Refused)
    );
}

#[tokio::test]
async fn refused_stream_gets_one_fin() {
    let (client, _ended, mut peer) = raw(windows(100, 100), 1 << 20).await;
    let _held = peer.open(&client, 0).await;
    peer.send(2, FrameKind::Syn).await;
    peer.data(2, b"too early").await;
    peer.expect(2, FrameKind::Fin).await;
    client.close();
    peer.send(4, FrameKind::Syn).await;
    peer.expect(4, FrameKind::Fin).await;
}
