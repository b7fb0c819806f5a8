//! Models of the log under loom, with a few bytes, two or three threads and one property each.
//!
//! Run them with `RUSTFLAGS="--cfg runtime_loom" cargo test -p runtime-ioext --release --lib`.

use loom::future::block_on;
use loom::thread;

use super::limits::Limits;
use super::test_backing::Disk;
use super::{FollowedLog, LogReader, LogSink};

/// Every write is worth a flush, and two bytes fill the memory.
const TINY: Limits = Limits {
    chunk: 4,
    ripe: 1,
    full: 2,
};
/// Nothing is flushed before the log is closed.
const LAZY: Limits = Limits {
    chunk: 4,
    ripe: 100,
    full: 100,
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

/// A follower hears of every write and of the end. Catches: registering the waker after the lock of the
/// look is released, which loom reports as a deadlock.
#[test]
fn follower_hears_of_writes_and_of_the_end() {
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

/// What a write was told to be accepted is in the file when `close` succeeds. Catches: closing without
/// waiting for the flush of another thread, and accepting a write after the last flush.
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

/// Two threads that flush never write the same bytes twice nor out of order, whatever is appended
/// meanwhile: the disk asserts that each write continues the last. Catches: flushing without the role.
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

/// A follower that moves from memory to the file sees no byte twice and misses none. Catches: forgetting
/// flushed bytes before they are in the file. Three preemptions at most, which keeps it to seconds.
#[test]
fn follower_sees_each_byte_once_while_it_is_flushed() {
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

/// Nobody hangs on a full disk: not a writer that waits for room, not a follower. Catches: not telling
/// waiters of a failed flush.
#[test]
fn full_disk_wakes_everybody() {
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

/// A call that is larger than the memory stays in one piece. Catches: letting others in between its steps.
#[test]
fn large_call_stays_in_one_piece() {
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

/// A push, which does not wait, does not get into the middle of a large call either. Catches: pushing
/// whatever else goes on.
#[test]
fn push_goes_beside_a_large_call() {
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

/// A follower that goes, or stays and is not polled again, takes no other's wake-up along. Catches: waking
/// one instead of all.
#[test]
fn idle_or_dropped_follower_swallows_nothing() {
    loom::model(|| {
        let log = Disk::new(9, 9).log(LAZY);
        let (mut idle, mut dropped, mut reader) = (log.reader(), log.reader(), log.reader());
        let writer = write_in_thread(&log, b"a");
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = (idle.poll_chunk(&mut cx), dropped.poll_chunk(&mut cx));
        drop(dropped);
        // Nothing but this one write wakes the reader.
        assert_eq!(block_on(reader.next_chunk()).unwrap().unwrap(), "a");
        assert!(writer.join().unwrap());
        log.close().unwrap();
    });
}
