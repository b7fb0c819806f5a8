//! Models of the pipes under loom, two threads and one property each.
//!
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-ioext --release --lib`.

use std::io;
use std::pin::Pin;

use loom::future::block_on;
use loom::thread;
use tokio::io::AsyncWrite;

use super::{CreditWriter, bounded_pipe, credit_pipe};

fn write(writer: &mut CreditWriter, bytes: &[u8]) -> io::Result<usize> {
    block_on(std::future::poll_fn(|cx| {
        Pin::new(&mut *writer).poll_write(cx, bytes)
    }))
}

/// A waiting reader hears of a write and of the end. Catches: registering the waker after the lock of the
/// look is released, and ending without waking.
#[test]
fn reader_of_a_bounded_pipe_hears_of_writes_and_of_the_end() {
    loom::model(|| {
        let (writer, mut reader) = bounded_pipe(9);
        let writing = thread::spawn(move || writer.write_all(b"a").unwrap());
        assert_eq!(block_on(reader.next_chunk()).as_deref(), Some(&b"a"[..]));
        assert_eq!(block_on(reader.next_chunk()), None);
        writing.join().unwrap();
    });
}

/// No more is unread than fits, whoever writes. Catches: looking for room and appending under two locks.
#[test]
fn racing_writes_do_not_overfill_a_bounded_pipe() {
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

/// A writer that waits for credit hears of it. Catches: registering the waker after the lock of the look is
/// released, and giving credit without waking.
#[test]
fn writer_hears_of_credit() {
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

/// A writer does not wait for somebody who is gone: neither for credit, nor for the reader. Catches: going
/// without waking it.
#[test]
fn writer_hears_that_nobody_is_left() {
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
