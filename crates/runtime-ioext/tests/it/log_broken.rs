//! Failures of a followed log.

use runtime_ioext::FollowedLog;
use runtime_ioext::log::{CreateLogError, LogReader, ReadLogError};

/// Returns all bytes that a reader returns, and the result at its end.
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
fn create_error_names_the_file() {
    let error = FollowedLog::create("no/such/folder/task.log").unwrap_err();
    assert!(matches!(error, CreateLogError::Create { .. }));
    assert!(error.to_string().contains("no/such/folder/task.log"));
}

#[tokio::test]
async fn abandoned_log_ends_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let reader = log.reader();
    let writer = log.writer();
    drop(log);
    writer.write_all(b"last words").unwrap();
    drop(writer);
    let (bytes, end) = drain(reader).await;
    assert_eq!(bytes, b"last words");
    assert!(matches!(end, Err(ReadLogError::Abandoned { .. })));
    assert_eq!(
        std::fs::read(folder.path().join("task.log")).unwrap(),
        b"last words"
    );
}

#[tokio::test]
async fn abandoned_log_wakes_readers() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let reader = tokio::spawn(drain(log.reader()));
    tokio::task::yield_now().await;
    drop(log);
    assert!(matches!(
        reader.await.unwrap().1,
        Err(ReadLogError::Abandoned { .. })
    ));
}

#[tokio::test]
async fn reader_detects_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    log.writer().write_all(b"0123456789").unwrap();
    log.close().unwrap();
    std::fs::write(log.path(), "0123").unwrap();
    let (bytes, end) = drain(log.reader()).await;
    assert_eq!(bytes, b"0123");
    assert!(matches!(
        end,
        Err(ReadLogError::Truncated { offset: 4, .. })
    ));
}

/// `/dev/full` fails every write like a full disk.
#[cfg(target_os = "linux")]
mod full_disk {
    use std::io;

    use runtime_ioext::log::{CloseLogError, ExtractLogError, WriteLogError};
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn close_fails_and_readers_get_accepted_bytes() {
        let log = FollowedLog::create("/dev/full").unwrap();
        let follower = tokio::spawn(drain(log.reader()));
        log.writer().write_all(b"accepted").unwrap();
        let CloseLogError::Failed { source, .. } = log.close().unwrap_err() else {
            unreachable!()
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);

        for reader in [follower.await.unwrap(), drain(log.reader()).await] {
            assert_eq!(reader.0, b"accepted");
            let Err(ReadLogError::Failed { source, .. }) = reader.1 else {
                panic!("no error")
            };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        assert!(!log.is_closed());
        assert!(matches!(log.extract(), Err(ExtractLogError::Failed { .. })));
    }

    #[test]
    fn writers_fail_permanently() {
        let log = FollowedLog::create("/dev/full").unwrap();
        let writer = log.writer();
        let accepted = (0..10_000)
            .take_while(|_| writer.write_all(&[b'x'; 100]).is_ok())
            .count();
        assert!(accepted < 1000, "{accepted} lines went nowhere");
        let error = writer.write_all(b"more").unwrap_err();
        assert!(matches!(error, WriteLogError::Failed { .. }));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
        assert!(writer.flush().is_err());
        assert!(log.close().is_err());
    }

    #[tokio::test]
    async fn async_writer_fails_without_hanging() {
        let log = FollowedLog::create("/dev/full").unwrap();
        let mut source = tokio::io::repeat(b'x').take(100 << 20);
        let error = tokio::io::copy(&mut source, &mut log.writer())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
