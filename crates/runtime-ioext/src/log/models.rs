//! Loom models of the log, with a few bytes, two or three threads, and one property each.
//!
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-ioext --release --lib`.

use std::future::poll_fn;

use loom::future::block_on;
use loom::thread;

use super::buffer_limits::BufferLimits;
use super::test_backing::Disk;
use super::{FollowedLog, LogReader, LogSink};

/// Every write starts a flush, and two bytes fill the memory.
const TINY: BufferLimits = BufferLimits {
    segment: 4,
    flush_threshold: 1,
    max_pending: 2,
};
/// Two bytes start a flush.
const PAIR: BufferLimits = BufferLimits {
    segment: 4,
    flush_threshold: 2,
    max_pending: 100,
};
/// Nothing is flushed before the close.
const LAZY: BufferLimits = BufferLimits {
    segment: 4,
    flush_threshold: 100,
    max_pending: 100,
};

fn read_all(mut reader: LogReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = block_on(reader.next_chunk()).unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn write_in_thread(log: &FollowedLog, bytes: &'static [u8]) -> thread::JoinHandle<bool> {
    let writer = log.writer();
    thread::spawn(move || writer.write_all(bytes).is_ok())
}

/// A task that waits for a length is woken by the write that reaches it, also if another one has woken it before, and by
/// the end. Catches: registering the waker after releasing the lock of the check, and a minimum that ignores a later
/// waiter.
#[test]
fn length_or_end_wakes_its_waiter() {
    loom::model(|| {
        let log = Disk::new(9, 9).log(LAZY);
        let writer = thread::spawn({
            let log = log.clone();
            move || {
                log.writer().write_all(b"a").unwrap();
                log.writer().write_all(b"b").unwrap();
                log.close().unwrap();
            }
        });
        assert!(block_on(log.wait_for_len(2)));
        assert!(!block_on(log.wait_for_len(3)));
        writer.join().unwrap();
    });
}

/// A follower is woken by every write and by the end. Catches: registering the waker after releasing the
/// lock of the check, which loom reports as a deadlock.
#[test]
fn follower_is_woken_by_writes_and_end() {
    loom::model(|| {
        let log = Disk::new(9, 9).log(LAZY);
        let reader = log.reader();
        let writer = thread::spawn(move || {
            log.writer().write_all(b"a").unwrap();
            log.close().unwrap();
        });
        assert_eq!(read_all(reader), b"a");
        writer.join().unwrap();
    });
}

/// Accepted bytes are in the file when `close` succeeds. Catches: closing without waiting for the flush of
/// another thread, and accepting a write after the last flush.
#[test]
fn accepted_bytes_are_in_the_file_after_close() {
    loom::model(|| {
        let disk = Disk::new(9, 9);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"a");
        log.close().unwrap();
        let in_file = disk.bytes();
        let accepted = writer.join().unwrap();
        assert_eq!(in_file == b"a", accepted);
        assert_eq!(log.len(), u64::from(accepted));
    });
}

/// Two flushing threads never write the same bytes twice or out of order: the disk asserts that each write
/// continues the last. Catches: flushing without setting `flushing`.
#[test]
fn racing_flushes_write_each_byte_once() {
    loom::model(|| {
        let disk = Disk::new(9, 9);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"aa");
        log.writer().write_all(b"b").unwrap();
        assert!(writer.join().unwrap());
        log.close().unwrap();
        assert!([&b"aab"[..], b"baa"].contains(&&disk.bytes()[..]));
    });
}

/// A follower that switches from memory to the file sees each byte exactly once. Catches: removing flushed
/// bytes before they are in the file. At most three preemptions, for a run time of seconds.
#[test]
fn follower_sees_each_byte_once_during_flush() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let log = Disk::new(9, 9).log(TINY);
        let reader = log.reader();
        let writer = thread::spawn(move || {
            log.writer().write_all(b"ab").unwrap();
            log.writer().write_all(b"c").unwrap();
            log.close().unwrap();
        });
        assert_eq!(read_all(reader), b"abc");
        writer.join().unwrap();
    });
}

/// A full disk wakes all waiters: writers that wait for memory, and followers. Catches: not waking them after
/// a failed flush.
#[test]
fn full_disk_wakes_all_waiters() {
    loom::model(|| {
        let log = Disk::new(1, 9).log(TINY);
        let mut reader = log.reader();
        let writer = write_in_thread(&log, b"ab");
        let _ = log.writer().write_all(b"cd");
        let end = loop {
            match block_on(reader.next_chunk()) {
                Ok(chunk) => assert!(chunk.is_some(), "a clean end"),
                Err(error) => break error,
            }
        };
        assert!(matches!(end, super::ReadLogError::Failed { .. }));
        writer.join().unwrap();
        assert!(log.close().is_err());
    });
}

/// A call larger than the memory is contiguous. Catches: accepting other writes between its chunks.
#[test]
fn large_call_is_contiguous() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"aaaaaaaaa");
        log.writer().write_all(b"b").unwrap();
        assert!(writer.join().unwrap());
        log.close().unwrap();
        assert!([&b"aaaaaaaaab"[..], b"baaaaaaaaa"].contains(&&disk.bytes()[..]));
    });
}

/// A push, which does not wait, does not split a large call either. Catches: pushing regardless of
/// `large_call`.
#[test]
fn push_does_not_split_a_large_call() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"aaaaaaaaa");
        log.writer().push(b"b").unwrap();
        assert!(writer.join().unwrap());
        log.close().unwrap();
        assert!([&b"aaaaaaaaab"[..], b"baaaaaaaaa"].contains(&&disk.bytes()[..]));
    });
}

/// Closing waits for a large call, which was accepted as a whole. Catches: flushing and ending the log between
/// its chunks.
#[test]
fn close_waits_for_a_large_call() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"aaaaaaaaa");
        log.close().unwrap();
        let in_file = disk.bytes();
        let accepted = writer.join().unwrap();
        assert_eq!(in_file, if accepted { &b"aaaaaaaaa"[..] } else { b"" });
    });
}

/// A line neither splits a large call nor continues its last line. Catches: appending a line regardless of
/// `large_call`, and looking for the end of the last line before the call is complete.
#[test]
fn line_waits_for_a_large_call() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let writer = write_in_thread(&log, b"aaaaaaaaa");
        log.writer().push_on_new_line(b"b\n").unwrap();
        assert!(writer.join().unwrap());
        log.close().unwrap();
        assert!([&b"aaaaaaaaa\nb\n"[..], b"b\naaaaaaaaa"].contains(&&disk.bytes()[..]));
    });
}

/// Lines of two threads start lines, and a close refuses or writes each. Catches: releasing the lock between
/// the line feed and the line.
#[test]
fn racing_lines_start_lines() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let writer = log.writer();
        let other = thread::spawn(move || writer.push_on_new_line(b"a").is_ok());
        let accepted = log.writer().push_on_new_line(b"b").is_ok();
        log.close().unwrap();
        let bytes = disk.bytes();
        let expected: &[&[u8]] = match (other.join().unwrap(), accepted) {
            (true, true) => &[b"a\nb", b"b\na"],
            (false, true) => &[b"b"],
            _ => &[],
        };
        assert!(expected.contains(&&bytes[..]), "{bytes:?}");
    });
}

/// An async writer that waits for memory is woken when a flush ends. Catches: not waking writers after a
/// flush, which loom reports as a deadlock.
#[test]
fn flush_wakes_an_async_writer() {
    loom::model(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let full = write_in_thread(&log, b"ab");
        write_when_ready(&log, b"c");
        assert!(full.join().unwrap());
        log.close().unwrap();
        assert!([&b"abc"[..], b"cab"].contains(&&disk.bytes()[..]));
    });
}

/// An async writer that waits for a large call is woken at its end. Catches: not waking writers after the
/// call. At most three preemptions, for a run time of seconds.
#[test]
fn large_call_wakes_an_async_writer() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let disk = Disk::new(99, 99);
        let log = disk.log(TINY);
        let large = write_in_thread(&log, b"aaaaaaaaa");
        write_when_ready(&log, b"b");
        assert!(large.join().unwrap());
        log.close().unwrap();
        assert!([&b"aaaaaaaaab"[..], b"baaaaaaaaa"].contains(&&disk.bytes()[..]));
    });
}

fn write_when_ready(log: &FollowedLog, bytes: &[u8]) {
    let mut writer = log.writer();
    block_on(poll_fn(|cx| writer.poll_ready(cx)));
    writer.push(bytes).unwrap();
}

/// A write that makes a log too long for memory races with its close: the log is complete in memory or in the file.
/// Catches: closing in memory while another thread flushes, and looking for the file before the flush role.
#[test]
fn racing_close_in_memory_loses_nothing() {
    loom::model(|| {
        let disk = Disk::spooled(99, 99);
        let log = disk.log(PAIR);
        log.writer().write_all(b"a").unwrap();
        let writer = write_in_thread(&log, b"b");
        if !log.close_in_memory() {
            log.close().unwrap();
        }
        let accepted = writer.join().unwrap();
        let expected = if accepted { &b"ab"[..] } else { b"a" };
        let in_memory = log.in_memory().unwrap_or_default();
        assert_eq!([&disk.bytes()[..], &in_memory].concat(), expected);
        assert_eq!(read_all(log.reader()), expected);
    });
}

/// An idle or dropped follower does not consume the wake-up of another. Catches: waking one instead of
/// all.
#[test]
fn idle_or_dropped_follower_keeps_no_wakeup() {
    loom::model(|| {
        let log = Disk::new(9, 9).log(LAZY);
        let (mut idle, mut dropped, mut reader) = (log.reader(), log.reader(), log.reader());
        let writer = write_in_thread(&log, b"a");
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = (idle.poll_chunk(&mut cx), dropped.poll_chunk(&mut cx));
        drop(dropped);
        // Only this write wakes the reader.
        assert_eq!(block_on(reader.next_chunk()).unwrap().unwrap(), "a");
        assert!(writer.join().unwrap());
        log.close().unwrap();
    });
}
