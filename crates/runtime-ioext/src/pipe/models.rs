//! Loom models of the pipes, with two threads and one property each.
//!
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-ioext --release --lib`.

use std::io;
use std::pin::Pin;

use loom::future::block_on;
use loom::thread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{CreditReader, CreditWriter, PipeReadError, bounded_pipe, credit_pipe};

fn write(writer: &mut CreditWriter, bytes: &[u8]) -> io::Result<usize> {
    block_on(std::future::poll_fn(|cx| {
        Pin::new(&mut *writer).poll_write(cx, bytes)
    }))
}

fn read(reader: &mut CreditReader) -> io::Result<()> {
    let mut byte = [0];
    block_on(std::future::poll_fn(|cx| {
        Pin::new(&mut *reader).poll_read(cx, &mut ReadBuf::new(&mut byte))
    }))
}

/// A waiting reader is woken by a write and by the end. Catches: registering the waker after releasing the
/// lock of the check, and ending without waking.
#[test]
fn bounded_reader_is_woken_by_write_and_end() {
    loom::model(|| {
        let (writer, mut reader) = bounded_pipe(9);
        let writing = thread::spawn(move || {
            writer.write_all(b"a").unwrap();
            writer.close();
        });
        let mut next = || block_on(reader.next_chunk()).unwrap();
        assert_eq!(next().as_deref(), Some(&b"a"[..]));
        assert_eq!(next(), None);
        writing.join().unwrap();
    });
}

/// A reader returns the bytes, then the error of the writer, and never a clean end. Catches: checking the end
/// before the bytes, and ending without waking.
#[test]
fn reader_gets_bytes_then_the_error() {
    loom::model(|| {
        let (writer, mut reader) = bounded_pipe(9);
        let writing = thread::spawn(move || {
            writer.write_all(b"a").unwrap();
            writer.close_with_error(io::ErrorKind::TimedOut.into());
        });
        let chunk = block_on(reader.next_chunk()).unwrap();
        assert_eq!(chunk.as_deref(), Some(&b"a"[..]));
        let error = block_on(reader.next_chunk()).unwrap_err();
        assert!(matches!(error, PipeReadError::Failed { .. }));
        writing.join().unwrap();
    });
    loom::model(|| {
        let (writer, mut reader, _credit) = credit_pipe();
        let writing = thread::spawn(move || drop(writer));
        let error = read(&mut reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        writing.join().unwrap();
    });
}

/// Concurrent writes never exceed the capacity. Catches: checking and appending under two locks.
#[test]
fn concurrent_writes_respect_capacity() {
    loom::model(|| {
        let (writer, _reader) = bounded_pipe(3);
        let writer = std::sync::Arc::new(writer);
        let there = thread::spawn({
            let writer = writer.clone();
            move || writer.write_all(b"aa").is_ok()
        });
        let here = writer.write_all(b"bb").is_ok();
        assert_ne!(here, there.join().unwrap());
        assert_eq!(writer.unread(), 2);
    });
}

/// A writer that waits for credit gets the error of the reader. Catches: closing without waking.
#[test]
fn waiting_writer_gets_the_readers_error() {
    loom::model(|| {
        let (mut writer, reader, _credit) = credit_pipe();
        let closing = thread::spawn(move || {
            reader.close_with_error(io::ErrorKind::TimedOut.into());
        });
        let error = write(&mut writer, b"a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        closing.join().unwrap();
    });
}

/// A writer that waits for credit is woken by a grant. Catches: registering the waker after releasing the
/// lock of the check, and granting without waking.
#[test]
fn credit_wakes_writer() {
    loom::model(|| {
        let (mut writer, _reader, credit) = credit_pipe();
        let giving = thread::spawn({
            let credit = credit.clone();
            move || credit.grant(1)
        });
        assert_eq!(write(&mut writer, b"ab").unwrap(), 1);
        giving.join().unwrap();
    });
}

/// A writer does not wait for a dropped peer, neither for credit nor for the reader. Catches: dropping
/// without waking.
#[test]
fn dropped_peer_wakes_writer() {
    loom::model(|| {
        let (mut writer, _reader, credit) = credit_pipe();
        let going = thread::spawn(move || drop(credit));
        assert!(write(&mut writer, b"a").is_err());
        going.join().unwrap();
    });
    loom::model(|| {
        let (mut writer, reader, _credit) = credit_pipe();
        let going = thread::spawn(move || drop(reader));
        assert!(write(&mut writer, b"a").is_err());
        going.join().unwrap();
    });
}
