//! The log on a small or slow disk, and with a file changed by others.

use std::io;
use std::time::Duration;

use super::buffer_limits::BufferLimits;
use super::test_backing::Disk;
use super::{LogReader, ReadLogError, WriteLogError};

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
