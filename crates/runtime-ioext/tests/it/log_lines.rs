//! Reassembly of lines.

use std::io::Write;

use runtime_ioext::FollowedLog;
use runtime_ioext::log::{LineWriter, LogSink};
use tokio::io::AsyncWriteExt;

fn written(write: impl FnOnce(&FollowedLog)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    write(&log);
    log.close().unwrap();
    std::fs::read_to_string(log.path()).unwrap()
}

#[test]
fn lines_of_two_streams_are_not_mixed() {
    let text = written(|log| {
        let (mut one, mut two) = (LineWriter::new(log.writer()), LineWriter::new(log.writer()));
        one.write_all(b"first\nsec").unwrap();
        two.write_all(b"third\nfou").unwrap();
        one.write_all(b"ond\n").unwrap();
        two.write_all(b"rth\n").unwrap();
    });
    assert_eq!(text, "first\nthird\nsecond\nfourth\n");
}

#[test]
fn drop_writes_the_last_line() {
    assert_eq!(
        written(|log| LineWriter::new(log.writer()).write_all(b"no end").unwrap()),
        "no end"
    );
}

#[test]
fn flush_keeps_partial_lines() {
    let text = written(|log| {
        let mut lines = LineWriter::new(log.writer());
        lines.write_all(b"begun").unwrap();
        Write::flush(&mut lines).unwrap();
        log.writer().write_all(b"other\n").unwrap();
        lines.finish().unwrap();
        log.writer().write_all(b"\n").unwrap();
    });
    assert_eq!(text, "other\nbegun\n");
}

#[test]
fn overlong_line_is_split() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut lines = LineWriter::new(log.writer());
    lines.write_all(&vec![b'x'; 1 << 20]).unwrap();
    assert!(log.len() > 900_000);
    drop(lines);
    assert_eq!(log.len(), 1 << 20);
}

#[tokio::test]
async fn shutdown_writes_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let mut lines = LineWriter::new(log.writer());
    AsyncWriteExt::write_all(&mut lines, b"one\ntwo")
        .await
        .unwrap();
    assert_eq!(log.len(), 4);
    lines.shutdown().await.unwrap();
    assert_eq!(log.len(), 7);
}
