//! The log on a small or slow disk, and with a file changed by others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::buffer_limits::{BufferLimits, MAX_DISK_READS};
use super::disk_read::DiskRead;
use super::shared::SharedLog;
use super::test_backing::Disk;
use super::{LogReader, LogSink as _, ReadLogError, WriteLogError};

const SMALL: BufferLimits = BufferLimits {
    segment: 64,
    flush_threshold: 64,
    max_pending: 256,
};

async fn drain(mut reader: LogReader) -> (Vec<u8>, Result<(), ReadLogError>) {
    let mut bytes = Vec::new();
    loop {
        match reader.next_chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, Ok(())),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

#[test]
fn short_writes_are_continued() {
    let disk = Disk::new(10_000, 7);
    let log = disk.log(SMALL);
    let lines: Vec<u8> = (0..50).flat_map(|i| [i; 11]).collect();
    lines
        .chunks(11)
        .for_each(|line| log.writer().write_all(line).unwrap());
    log.close().unwrap();
    assert_eq!(disk.bytes(), lines);
}

#[tokio::test]
async fn full_disk_keeps_accepted_bytes_readable() {
    let disk = Disk::new(1000, 1000);
    let log = disk.log(SMALL);
    let follower = tokio::spawn(drain(log.reader()));
    let mut accepted = Vec::new();
    let refused = (0_u8..=255).find_map(|i| {
        let line = [i; 10];
        let result = log.writer().write_all(&line);
        accepted.extend(result.is_ok().then_some(line).into_iter().flatten());
        std::thread::yield_now();
        result.err()
    });

    let Some(WriteLogError::Failed { source, .. }) = refused else {
        panic!("the disk took all")
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.bytes(), accepted[..1000]);
    for (bytes, end) in [follower.await.unwrap(), drain(log.reader()).await] {
        assert_eq!(bytes, accepted);
        assert!(matches!(end, Err(ReadLogError::Failed { .. })));
    }
    assert!(log.close().is_err());
    assert!(log.extract().is_err());
}

#[tokio::test]
async fn failed_end_is_replaced_within_the_file() {
    for (written, size, left) in [
        // The last line that leaves enough space for the notice is kept.
        ("one\ntwo\nthree\nfour\nfi", 20, "one\ntwo\n12345678\n"),
        // A long line is cut.
        (
            "a long line without a line feed",
            25,
            "a long line wit\n12345678\n",
        ),
        ("one\n three", 9, "12345678\n"),
    ] {
        let disk = Disk::new(size, 7);
        let log = disk.log(SMALL);
        log.writer().write_all(written.as_bytes()).unwrap();
        assert!(log.replace_failed_end(b"12345678\n").is_err(), "not failed");
        let mut lagging = log.reader_at(1);
        log.close().unwrap_err();
        log.replace_failed_end(b"12345678\n").unwrap();
        assert_eq!(disk.bytes(), left.as_bytes());
        assert_eq!(
            lagging.next_chunk().await.unwrap().unwrap()[..6],
            left.as_bytes()[1..7]
        );
        let (bytes, end) = drain(log.reader()).await;
        assert_eq!(bytes, left.as_bytes());
        assert!(matches!(end, Err(ReadLogError::Failed { .. })));
        assert_eq!(log.len(), left.len() as u64);
        assert!(log.extract().is_err(), "the log is still incomplete");
    }
}

#[test]
fn file_shorter_than_its_new_end_is_an_error() {
    let disk = Disk::new(5, 5);
    let log = disk.log(SMALL);
    log.writer().write_all(b"one\ntwo").unwrap();
    log.close().unwrap_err();
    let error = log.replace_failed_end(b"12345678\n").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn pushed_line_does_not_wait_for_the_disk() {
    let disk = Disk::new(10_000, 1000);
    let log = disk.log(SMALL);
    let hanging = disk.hang();
    for _ in 0..5 {
        log.writer().write_all(&[b'x'; 63]).unwrap();
    }
    let (writer, (done, is_done)) = (log.writer(), std::sync::mpsc::channel());
    tokio::task::spawn_blocking(move || {
        writer.push_on_new_line(b"line\n").unwrap();
        done.send(())
    });
    is_done.recv_timeout(Duration::from_secs(10)).unwrap();
    drop(hanging);
    log.close().unwrap();
    assert_eq!(disk.bytes()[5 * 63..], *b"\nline\n");
}

#[test]
fn close_waits_for_a_large_call() {
    let disk = Disk::new(1 << 20, 64);
    let log = disk.log(SMALL);
    let bytes = [b'x'; 64 * 1000];
    let hanging = disk.hang();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| log.writer().write_all(&bytes));
        wait_until(|| !log.is_empty());
        let closing = scope.spawn(|| log.close());
        drop(hanging);
        closing.join().unwrap().unwrap();
        assert_eq!(disk.bytes().len(), bytes.len());
        writing.join().unwrap().unwrap();
    });
}

#[tokio::test]
async fn dropped_read_keeps_its_permit_until_it_ends() {
    let disk = Disk::new(10_000, 1000);
    let shared = Arc::new(SharedLog::new("disk".into(), Box::new(disk.clone()), SMALL));
    let hanging = disk.hang();
    let read = DiskRead::start(&shared, 0, 1);
    tokio::task::yield_now().await;
    assert_eq!(shared.disk_reads.available_permits(), MAX_DISK_READS - 1);
    drop(read);
    tokio::task::yield_now().await;
    assert_eq!(shared.disk_reads.available_permits(), MAX_DISK_READS - 1);
    drop(hanging);
    wait_until(|| shared.disk_reads.available_permits() == MAX_DISK_READS);
}

/// A runtime that has shut down drops blocking work instead of running it.
#[test]
fn dropped_flush_is_requested_again() {
    let disk = Disk::new(10_000, 1000);
    let (log, runtime) = (disk.log(SMALL), runtime());
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let _in_runtime = handle.enter();
    let mut writer = log.writer();
    writer.push(&[b'x'; 300]).unwrap();
    assert!(disk.bytes().is_empty(), "the flush ran");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(writer.poll_ready(&mut cx).is_ready());
    assert_eq!(disk.bytes().len(), 300);
}

#[test]
fn flush_wakes_waiting_async_writers() {
    let disk = Disk::new(10_000, 1000);
    let log = disk.log(SMALL);
    let runtime = runtime();
    let _in_runtime = runtime.enter();
    let hanging = disk.hang();
    let (mut writer, wakes) = (log.writer(), Arc::<Wakes>::default());
    let waker = Arc::clone(&wakes).into();
    writer.push(&[b'x'; 300]).unwrap();
    assert!(
        writer
            .poll_ready(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(wakes.count(), 0);
    drop(hanging);
    wait_until(|| wakes.count() == 1);
}

/// A runtime with one blocking thread.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).max_blocking_threads(1);
    builder.build().unwrap()
}

/// Counts its wake-ups.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "the condition never holds");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn truncation_is_reported_at_its_offset() {
    let disk = Disk::new(1000, 1000);
    let log = disk.log(SMALL);
    log.writer().write_all(&[b'x'; 500]).unwrap();
    log.close().unwrap();
    disk.cut(123);
    let (bytes, end) = drain(log.reader()).await;
    assert_eq!(bytes.len(), 123);
    assert!(matches!(
        end,
        Err(ReadLogError::Truncated { offset: 123, .. })
    ));
}

#[tokio::test]
async fn blocking_reads_are_cancel_safe() {
    let disk = Disk::new(10_000, 100);
    let log = disk.log(SMALL);
    let bytes: Vec<u8> = (0..5000).map(|i| (i % 251) as u8).collect();
    log.writer().write_all(&bytes).unwrap();
    log.close().unwrap();
    let (mut reader, mut got) = (log.reader(), Vec::new());
    loop {
        tokio::select! {
            biased;
            chunk = reader.next_chunk() => match chunk.unwrap() {
                Some(chunk) => got.extend_from_slice(&chunk),
                None => break,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(got, bytes);
}

#[test]
fn log_works_without_a_runtime() {
    let disk = Disk::new(10_000, 100);
    let log = disk.log(SMALL);
    let reader = log.reader();
    let thread = std::thread::spawn(move || futures_block_on(drain(reader)).0);
    (0_u8..100).for_each(|i| log.writer().write_all(&[i; 30]).unwrap());
    log.close().unwrap();
    assert_eq!(thread.join().unwrap(), disk.bytes());
}

/// Runs a future on this thread, which has no runtime.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn length_is_awaited_without_other_wake_ups() {
    let log = Disk::new(10_000, 10_000).log(SMALL);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    let mut reached = std::pin::pin!(log.wait_for_len(10));
    assert!(reached.as_mut().poll(&mut context).is_pending());
    for _ in 0..9 {
        log.writer().write_all(b"a").unwrap();
    }
    assert_eq!(wakes.count(), 0);
    log.writer().write_all(b"bc").unwrap();
    assert_eq!(wakes.count(), 1);
    assert_eq!(reached.as_mut().poll(&mut context), Poll::Ready(true));
    let mut longer = std::pin::pin!(log.wait_for_len(12));
    assert!(longer.as_mut().poll(&mut context).is_pending());
    log.close().unwrap();
    assert_eq!(wakes.count(), 2);
    assert_eq!(longer.as_mut().poll(&mut context), Poll::Ready(false));
}

#[test]
fn failed_log_ends_the_wait_for_a_length() {
    let log = Disk::new(100, 7).log(SMALL);
    let waiting = std::thread::spawn({
        let log = log.clone();
        move || futures_block_on(log.wait_for_len(1_000_000))
    });
    let writer = log.writer();
    let failed = (0..1_000).any(|_| writer.write_all(&[b'a'; 30]).is_err());
    assert!(failed, "the disk is full");
    assert!(!waiting.join().unwrap());
}
