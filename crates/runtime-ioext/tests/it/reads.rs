//! Bounded reads, positions and observed streams.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use runtime_ioext::copy::copy;
use runtime_ioext::stream::{ObservedStream, StreamEnd, TellReader};
use runtime_ioext::{
    BoundedReadError, BoundedReadFileError, bounded_read_all, bounded_read_file, read_at_most,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn input_up_to_the_limit_is_read() {
    for len in [0, 1, 8191, 8192, 8193, 100_000] {
        let bytes = vec![7; len];
        assert_eq!(read_at_most(&bytes[..], len).unwrap(), bytes);
        assert_eq!(bounded_read_all(&bytes[..], len).await.unwrap(), bytes);
        assert_eq!(
            bounded_read_all(&bytes[..], usize::MAX).await.unwrap(),
            bytes
        );
    }
}

#[tokio::test]
async fn input_over_the_limit_fails() {
    for limit in [0, 1, 8192, 99_999] {
        let bytes = vec![7; limit + 1];
        assert!(matches!(
            read_at_most(&bytes[..], limit),
            Err(BoundedReadError::TooLarge { .. })
        ));
        let error = bounded_read_all(&bytes[..], limit).await.unwrap_err();
        assert_eq!(error.to_string(), format!("input exceeds {limit} bytes"));
    }
}

#[tokio::test]
async fn endless_input_stops_at_the_limit() {
    let error = read_at_most(io::repeat(1), 1 << 20).unwrap_err();
    assert!(matches!(error, BoundedReadError::TooLarge { .. }));
    let bytes = bounded_read_all(&[1; 1000][..], 1000).await.unwrap();
    assert!(bytes.capacity() <= 1000);
}

/// A reader that returns one byte at a time.
struct Trickle(usize);

impl Read for Trickle {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = 1.min(self.0);
        self.0 -= n;
        bytes[..n].fill(7);
        Ok(n)
    }
}

#[test]
fn single_byte_reads_are_linear() {
    // Clearing the rest of the buffer before each read would take minutes.
    assert_eq!(
        read_at_most(Trickle(1 << 20), 1 << 20).unwrap().len(),
        1 << 20
    );
}

#[test]
fn file_is_read_up_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "12345").unwrap();
    assert_eq!(bounded_read_file(&path, 5).unwrap(), b"12345");
    assert!(matches!(
        bounded_read_file(&path, 4),
        Err(BoundedReadFileError::TooLarge { limit: 4, .. })
    ));
    let missing = bounded_read_file(folder.path().join("none"), 5).unwrap_err();
    assert!(matches!(missing, BoundedReadFileError::Open { .. }));
}

#[cfg(unix)]
#[test]
fn other_file_types_do_not_block() {
    assert!(matches!(
        bounded_read_file("/dev/zero", 10),
        Err(BoundedReadFileError::NotPlain { .. })
    ));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        bounded_read_file(folder.path(), 10),
        Err(BoundedReadFileError::NotPlain { .. })
    ));
}

#[cfg(target_os = "linux")]
#[test]
fn file_of_reported_size_zero_is_bounded() {
    // Files in /proc report a size of 0.
    assert!(matches!(
        bounded_read_file("/proc/self/status", 10),
        Err(BoundedReadFileError::TooLarge { .. })
    ));
}

#[tokio::test]
async fn tell_counts_sync_and_async_reads() {
    let mut reader = TellReader::new(&[0; 100][..]);
    Read::read_exact(&mut reader, &mut [0; 10]).unwrap();
    AsyncReadExt::read_exact(&mut reader, &mut [0; 20])
        .await
        .unwrap();
    assert_eq!(reader.tell(), 30);
    assert_eq!(reader.into_inner().len(), 70);
}

#[tokio::test]
async fn handle_tells_during_a_copy() {
    let (near, far) = tokio::io::duplex(10);
    let mut reader = TellReader::new(&[0; 100][..]);
    let progress = reader.handle().clone();
    let copying = tokio::spawn(async move { copy(&mut reader, &mut { near }).await });
    let mut far = far;
    assert_eq!(progress.tell(), 0);
    far.read_exact(&mut [0; 20]).await.unwrap();
    assert_eq!(
        progress.tell(),
        100,
        "the copy has read all, and waits to write"
    );
    assert!(!copying.is_finished());
    far.read_exact(&mut [0; 80]).await.unwrap();
    assert_eq!(copying.await.unwrap().unwrap(), 100);
    assert_eq!(progress.tell(), 100, "the reader was dropped");
}

/// Returns an observed stream and its reports.
fn observed<T>(inner: T) -> (ObservedStream<T>, Arc<Mutex<Vec<String>>>) {
    let reports: Arc<Mutex<Vec<String>>> = Arc::default();
    let watch = ObservedStream::new(inner, {
        let reports = Arc::clone(&reports);
        move |outcome| {
            let report = match outcome {
                StreamEnd::Failed(error) => error.kind().to_string(),
                outcome => format!("{outcome:?}"),
            };
            reports.lock().unwrap().push(report);
        }
    });
    (watch, reports)
}

#[tokio::test]
async fn end_is_reported_once() {
    let (mut watch, reports) = observed(&b"12345"[..]);
    watch.read_to_end(&mut Vec::new()).await.unwrap();
    watch.read_to_end(&mut Vec::new()).await.unwrap();
    drop(watch);
    assert_eq!(*reports.lock().unwrap(), ["End"]);
}

#[tokio::test]
async fn report_precedes_the_result() {
    let thread = Arc::new(Mutex::new(None));
    let mut watch = ObservedStream::new(&b""[..], {
        let thread = Arc::clone(&thread);
        move |_| *thread.lock().unwrap() = Some((std::thread::current().id(), tokio::task::id()))
    });
    let (read, task) =
        tokio::spawn(async move { (watch.read(&mut [0]).await.unwrap(), tokio::task::id()) })
            .await
            .unwrap();
    assert_eq!(read, 0);
    let reported = *thread.lock().unwrap();
    assert_eq!(reported, Some((std::thread::current().id(), task)));
}

#[tokio::test]
async fn first_error_is_reported_once() {
    let (near, far) = tokio::io::duplex(8);
    let (mut watch, reports) = observed(near);
    drop(far);
    assert!(watch.write_all(b"x").await.is_err());
    watch.read_to_end(&mut Vec::new()).await.unwrap();
    drop(watch);
    assert_eq!(*reports.lock().unwrap(), ["broken pipe"]);
}

#[tokio::test]
async fn shutdown_and_drop_are_reported() {
    let (mut watch, reports) = observed(tokio::io::sink());
    watch.write_all(b"x").await.unwrap();
    assert!(reports.lock().unwrap().is_empty());
    watch.shutdown().await.unwrap();
    assert_eq!(*reports.lock().unwrap(), ["Closed"]);

    let (watch, reports) = observed(tokio::io::sink());
    drop(watch);
    assert_eq!(*reports.lock().unwrap(), ["Closed"]);
}
