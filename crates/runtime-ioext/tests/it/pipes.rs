//! The bounded pipe and the credit pipe.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use runtime_ioext::pipe::{PipeReadError, PipeWriteError, bounded_pipe, credit_pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn reader_gets_bytes_then_the_end() {
    let (writer, mut reader) = bounded_pipe(1 << 20);
    writer.write_all(b"small ").unwrap();
    writer.write_all(&[b'x'; 50_000]).unwrap();
    writer.write_bytes(Bytes::from_static(b" shared")).unwrap();
    writer.close();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [b"small ", &[b'x'; 50_000][..], b" shared"].concat());
    assert_eq!(reader.next_chunk().await.unwrap(), None);
}

#[tokio::test]
async fn oversized_write_writes_nothing() {
    let (writer, mut reader) = bounded_pipe(10);
    writer.write_all(b"0123456").unwrap();
    let error = writer.write_all(b"789x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot write 4 bytes to a pipe with a capacity of 10 bytes and 7 unread bytes; wait until more is read"
    );
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
    assert_eq!(writer.unread(), 7);
    writer.write_all(b"789").unwrap();
    assert_eq!(reader.read(&mut [0; 2]).await.unwrap(), 2);
    writer.write_all(b"xy").unwrap();
    assert!(writer.write_all(&[0; 100_000]).is_err());
}

#[tokio::test]
async fn stats_count_each_byte_once() {
    let (writer, mut reader) = bounded_pipe(100);
    let mut stats = writer.stats();
    writer.write_all(&[0; 30]).unwrap();
    reader.read_exact(&mut [0; 10]).await.unwrap();
    reader.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(stats.next().await, Some(15));
    let mut late = writer.stats();
    reader.read_exact(&mut [0; 3]).await.unwrap();
    drop(reader);
    assert_eq!(stats.next().await, Some(3));
    assert_eq!(late.next().await, Some(3));
    assert_eq!(stats.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn stats_end_with_the_input() {
    let (writer, mut reader) = bounded_pipe(100);
    let mut stats = writer.stats();
    writer.write_all(b"hello").unwrap();
    writer.close();
    let mut bytes = Vec::new();
    let (counted, _) = tokio::join!(
        async { (stats.next().await, timeout(LONG, stats.next()).await) },
        reader.read_to_end(&mut bytes),
    );
    assert_eq!(counted, (Some(5), Ok(None)));
    // Only now, so that the end of the input alone ended the counter.
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn stats_end_with_an_error() {
    let (writer, mut reader) = bounded_pipe(100);
    let mut stats = writer.stats();
    drop(writer);
    reader.next_chunk().await.unwrap_err();
    assert_eq!(timeout(LONG, stats.next()).await, Ok(None));
    drop(reader);
}

#[tokio::test(start_paused = true)]
async fn stats_wait_for_reads() {
    let (writer, _reader) = bounded_pipe(100);
    writer.write_all(b"x").unwrap();
    assert!(timeout(LONG, writer.stats().next()).await.is_err());
}

#[test]
fn write_without_reader_fails() {
    let (writer, reader) = bounded_pipe(100);
    writer.write_all(b"unread").unwrap();
    drop(reader);
    let error = writer.write_all(b"x").unwrap_err();
    assert!(matches!(error, PipeWriteError::ReaderDropped));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(writer.unread(), 0);
}

#[tokio::test]
async fn waiting_reader_is_woken() {
    let (writer, mut reader) = bounded_pipe(100);
    let reading =
        tokio::spawn(async move { (reader.next_chunk().await, reader.next_chunk().await) });
    tokio::task::yield_now().await;
    writer.write_all(b"x").unwrap();
    tokio::task::yield_now().await;
    writer.close();
    let (chunk, end) = reading.await.unwrap();
    assert_eq!(chunk.unwrap(), Some(Bytes::from_static(b"x")));
    assert_eq!(end.unwrap(), None);
}

/// An error of one half that the other half must find.
#[derive(Debug, thiserror::Error)]
#[error("stream reset")]
struct StreamReset;

fn stream_reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, StreamReset)
}

/// Returns whether an error was passed by [`stream_reset`] through a pipe.
fn is_stream_reset(error: &io::Error) -> bool {
    let inner = error.get_ref().expect("an error of the pipe");
    let cause = match (inner.downcast_ref(), inner.downcast_ref()) {
        (Some(PipeReadError::Failed { source }), _) => source,
        (_, Some(PipeWriteError::Failed { source })) => source,
        _ => return false,
    };
    error.kind() == io::ErrorKind::ConnectionReset
        && cause
            .get_ref()
            .is_some_and(|cause| cause.is::<StreamReset>())
}

#[tokio::test]
async fn bounded_reader_gets_bytes_then_the_error() {
    let (writer, mut reader) = bounded_pipe(100);
    writer.write_all(b"before").unwrap();
    writer.close_with_error(stream_reset());
    let mut bytes = Vec::new();
    let error = reader.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(bytes, b"before");
    assert!(is_stream_reset(&error), "{error:?}");
    // Retrying a read does not find a clean end.
    let again = reader.next_chunk().await.unwrap_err();
    assert!(is_stream_reset(&again.into()));
}

#[tokio::test]
async fn dropped_bounded_writer_is_an_error() {
    let (writer, mut reader) = bounded_pipe(100);
    writer.write_all(b"half").unwrap();
    drop(writer);
    let mut bytes = Vec::new();
    let error = reader.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(bytes, b"half");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let again = reader.next_chunk().await.unwrap_err();
    assert!(matches!(again, PipeReadError::WriterDropped));
}

#[tokio::test(start_paused = true)]
async fn dropped_bounded_writer_wakes_the_reader() {
    let (writer, mut reader) = bounded_pipe(100);
    let reading = tokio::spawn(async move { reader.next_chunk().await });
    tokio::task::yield_now().await;
    drop(writer);
    let read = timeout(LONG, reading).await.expect("it is woken");
    assert!(read.unwrap().is_err());
}

#[test]
fn bounded_writer_gets_the_readers_error() {
    let (writer, reader) = bounded_pipe(100);
    writer.write_all(b"unread").unwrap();
    reader.close_with_error(stream_reset());
    for _ in 0..2 {
        let error = writer.write_all(b"x").unwrap_err();
        assert!(is_stream_reset(&error.into()));
    }
    assert_eq!(writer.unread(), 0);
}

#[tokio::test]
async fn credit_reader_gets_bytes_then_the_error() {
    let (mut writer, mut reader, credit) = credit_pipe();
    credit.unblock_forever();
    writer.write_all(b"before").await.unwrap();
    writer.close_with_error(stream_reset());
    let mut bytes = Vec::new();
    let error = reader.read_to_end(&mut bytes).await.unwrap_err();
    assert_eq!(bytes, b"before");
    assert!(is_stream_reset(&error), "{error:?}");
    assert!(is_stream_reset(&reader.read(&mut [0]).await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn dropped_credit_writer_is_an_error() {
    let (mut writer, mut reader, credit) = credit_pipe();
    credit.unblock_forever();
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        (reader.read_to_end(&mut bytes).await, bytes)
    });
    writer.write_all(b"half").await.unwrap();
    tokio::task::yield_now().await;
    drop(writer);
    let read = timeout(LONG, reading).await.expect("it is woken");
    let (end, bytes) = read.unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(bytes, b"half");
}

#[tokio::test]
async fn shutdown_is_a_clean_end() {
    let (mut writer, mut reader, credit) = credit_pipe();
    credit.unblock_forever();
    writer.write_all(b"all").await.unwrap();
    writer.shutdown().await.unwrap();
    let error = writer.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    // Too late: the shutdown was first.
    writer.close_with_error(stream_reset());
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "all");
}

#[tokio::test(start_paused = true)]
async fn waiting_writer_gets_the_readers_error() {
    let (mut writer, reader, _credit) = credit_pipe();
    let writing = tokio::spawn(async move { (writer.write(b"x").await, writer.write(b"x").await) });
    tokio::task::yield_now().await;
    reader.close_with_error(stream_reset());
    let written = timeout(LONG, writing).await.expect("it is woken");
    let (first, second) = written.unwrap();
    assert!(is_stream_reset(&first.unwrap_err()));
    assert!(is_stream_reset(&second.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn writer_without_credit_waits() {
    let (mut writer, mut reader, credit) = credit_pipe();
    assert!(timeout(LONG, writer.write(b"x")).await.is_err());
    credit.grant(2);
    assert_eq!(writer.write(b"hello").await.unwrap(), 2);
    assert!(timeout(LONG, writer.write(b"llo")).await.is_err());
    let mut bytes = [0; 2];
    reader.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"he");
    assert!(timeout(LONG, reader.read(&mut bytes)).await.is_err());
}

#[tokio::test]
async fn credit_adds_up_and_wakes_the_writer() {
    let (mut writer, mut reader, credit) = credit_pipe();
    let writing = tokio::spawn(async move {
        writer.write_all(b"hello").await?;
        writer.shutdown().await
    });
    for _ in 0..5 {
        tokio::task::yield_now().await;
        credit.clone().grant(1);
    }
    writing.await.unwrap().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn unblock_forever_removes_the_limit() {
    let (mut writer, mut reader, credit) = credit_pipe();
    credit.unblock_forever();
    let bytes: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let writing = tokio::spawn({
        let bytes = bytes.clone();
        async move {
            writer.write_all(&bytes).await?;
            writer.shutdown().await
        }
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    writing.await.unwrap().unwrap();
    assert!(got == bytes);
}

#[tokio::test(start_paused = true)]
async fn credit_does_not_bypass_the_reader() {
    let (mut writer, _reader, credit) = credit_pipe();
    credit.unblock_forever();
    assert!(
        timeout(LONG, writer.write_all(&[0; 1 << 20]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn writer_without_peer_fails() {
    let (mut writer, reader, credit) = credit_pipe();
    credit.grant(1);
    drop(credit);
    assert_eq!(writer.write(b"xy").await.unwrap(), 1);
    assert_eq!(
        writer.write(b"y").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    drop(reader);

    let (mut writer, reader, _credit) = credit_pipe();
    drop(reader);
    assert_eq!(
        writer.write(b"x").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

/// Sizes below and above those that are copied into a shared buffer.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![0_usize..200, 0_usize..40_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn bounded_pipe_matches_the_model(
        steps in prop::collection::vec((sizes(), sizes(), any::<bool>()), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (writer, mut reader) = bounded_pipe(64 * 1024);
        let (mut written, mut read) = (Vec::new(), Vec::new());
        for (write, most, shares) in steps {
            let bytes: Vec<u8> = (0..write).map(|i| ((written.len() + i) % 251) as u8).collect();
            let fits = written.len() - read.len() + write <= 64 * 1024;
            prop_assert_eq!(writer.write_all(&bytes).is_ok(), fits);
            written.extend(fits.then_some(bytes).into_iter().flatten());
            if written.len() > read.len() && shares {
                read.extend(runtime.block_on(reader.next_chunk()).unwrap().unwrap());
            } else if written.len() > read.len() && most > 0 {
                let mut buffer = vec![0; most];
                let n = runtime.block_on(reader.read(&mut buffer)).unwrap();
                read.extend_from_slice(&buffer[..n]);
            }
        }
        writer.close();
        runtime.block_on(reader.read_to_end(&mut read)).unwrap();
        prop_assert!(read == written);
    }
    #[test]
    fn credit_pipe_matches_the_credit(
        steps in prop::collection::vec((0_u64..100_000, 0_usize..100_000, 1_usize..100_000), 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (mut writer, mut reader, credit) = credit_pipe();
            let (mut allowed, mut written, mut read) = (0, Vec::new(), Vec::new());
            for (more, write, most) in steps {
                credit.grant(more);
                allowed += more as usize;
                let bytes: Vec<u8> = (0..write).map(|i| ((written.len() + i) % 251) as u8).collect();
                let available = (allowed - written.len()).min(64 * 1024 - (written.len() - read.len()));
                // A write that takes an hour is waiting.
                match timeout(LONG, writer.write(&bytes)).await {
                    Ok(n) => {
                        assert_eq!(n.unwrap(), available.min(write));
                        written.extend_from_slice(&bytes[..available.min(write)]);
                    }
                    Err(_) => assert!(available == 0 && write > 0),
                }
                if written.len() > read.len() {
                    let mut buffer = vec![0; most];
                    let n = reader.read(&mut buffer).await.unwrap();
                    read.extend_from_slice(&buffer[..n]);
                }
            }
            writer.shutdown().await.unwrap();
            reader.read_to_end(&mut read).await.unwrap();
            assert!(read == written);
        });
    }
}
