//! Logs that get their file only when they are long.

use runtime_ioext::FollowedLog;
use runtime_ioext::log::{LogReader, ReadLogError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};

const LINE: &[u8] = b"0123456789abcde\n";

/// The number of lines from which a log has a file.
const MANY: usize = 64 * 1024 / LINE.len();

fn new_log() -> (TempDir, FollowedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::spooled(folder.path().join("task.log"));
    (folder, log)
}

fn write(log: &FollowedLog, lines: usize) -> Vec<u8> {
    (0..lines).for_each(|_| log.writer().write_all(LINE).unwrap());
    LINE.repeat(lines)
}

async fn drain(mut reader: LogReader) -> (Vec<u8>, std::io::Result<()>) {
    let mut bytes = Vec::new();
    let end = reader.read_to_end(&mut bytes).await.map(drop);
    (bytes, end)
}

#[tokio::test]
async fn short_log_has_no_file() {
    let (_folder, log) = new_log();
    let follower = tokio::spawn(drain(log.reader()));
    let bytes = write(&log, MANY - 1);
    AsyncWriteExt::flush(&mut log.writer()).await.unwrap();
    assert_eq!(log.in_memory(), None, "the log is open");
    assert!(log.close_in_memory() && log.is_closed());
    log.close().unwrap();
    for (read, end) in [follower.await.unwrap(), drain(log.reader()).await] {
        assert!(read == bytes && end.is_ok());
    }
    assert!(log.in_memory().is_some_and(|it| it == bytes));
    log.writer().write_all(LINE).unwrap_err();
    assert!(!log.has_file() && !log.path().exists());
}

#[tokio::test]
async fn long_log_has_a_file() {
    let (_folder, log) = new_log();
    let bytes = write(&log, MANY);
    assert!(!log.close_in_memory());
    log.close().unwrap();
    assert_eq!(log.in_memory(), None);
    assert!(log.has_file());
    assert!(std::fs::read(log.path()).unwrap() == bytes);
    assert!(drain(log.reader()).await.0 == bytes);
}

#[test]
fn flush_creates_the_file() {
    let (_folder, log) = new_log();
    let bytes = write(&log, 1);
    std::fs::write(log.path(), "an older and longer file").unwrap();
    log.writer().flush().unwrap();
    assert_eq!(std::fs::read(log.path()).unwrap(), bytes);
    assert!(log.has_file() && !log.close_in_memory());
}

#[test]
fn extract_creates_the_file() {
    for lines in [0, 3] {
        let (_folder, log) = new_log();
        let bytes = write(&log, lines);
        log.close().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let file = log.extract().unwrap();
                    assert_eq!(std::io::read_to_string(file).unwrap().as_bytes(), bytes);
                });
            }
        });
        assert!(log.has_file());
    }
}

#[tokio::test]
async fn abandoned_short_log_is_readable() {
    let (_folder, log) = new_log();
    let (reader, bytes) = (log.reader(), write(&log, 2));
    drop(log);
    let (read, end) = drain(reader).await;
    assert_eq!(read, bytes);
    let error = end.unwrap_err().into_inner().unwrap();
    let error = error.downcast_ref::<ReadLogError>().unwrap();
    assert!(matches!(error, ReadLogError::Abandoned { .. }));
}

#[tokio::test]
async fn uncreatable_file_fails_a_long_log() {
    let (folder, log) = new_log();
    drop(folder);
    let bytes = write(&log, MANY - 1);
    log.writer().write_all(LINE).unwrap();
    log.close().unwrap_err();
    assert!(log.write_error().is_some());
    // The writes before the failure are in memory, and so is the new end.
    log.replace_failed_end(b"failed\n").unwrap();
    let expected = [&bytes, LINE, b"failed\n"].concat();
    let (read, end) = drain(log.reader()).await;
    assert!(read == expected && end.is_err());
    assert!(log.in_memory().is_some_and(|it| it == expected));
    assert!(!log.has_file());
}

/// `/dev/full` fails every write like a full disk.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn full_disk_leaves_the_log_in_memory() {
    let log = FollowedLog::spooled("/dev/full");
    let mut bytes = write(&log, MANY);
    log.close().unwrap_err();
    log.replace_failed_end(b"full\n").unwrap();
    bytes.extend_from_slice(b"full\n");
    assert!(log.in_memory().is_some_and(|it| it == bytes));
    assert!(log.extract().is_err());
}
