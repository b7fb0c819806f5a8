//! Writers and readers of a followed log without failures.

use std::io::{Read, Seek, SeekFrom, Write};
use std::task::{Context, Waker};
use std::time::Duration;

use runtime_ioext::FollowedLog;
use runtime_ioext::log::{ExtractLogError, LogReader, WriteLogError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(3600);

fn new_log() -> (TempDir, FollowedLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    (folder, log)
}

async fn read_all(mut reader: LogReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Returns bytes in which holes and repetitions are visible.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

#[tokio::test]
async fn reader_gets_earlier_and_later_writes() {
    let (_folder, log) = new_log();
    log.writer().write_all(b"before ").unwrap();
    let reader = tokio::spawn(read_all(log.reader()));
    tokio::task::yield_now().await;
    log.writer().write_all(b"after").unwrap();
    log.close().unwrap();
    assert_eq!(reader.await.unwrap(), b"before after");
}

#[tokio::test(start_paused = true)]
async fn reader_waits_at_the_end_of_an_open_log() {
    let (_folder, log) = new_log();
    let writer = log.writer();
    writer.write_all(b"x").unwrap();
    let mut reader = log.reader();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap(), "x");
    assert!(timeout(LONG, reader.next_chunk()).await.is_err());
    writer.write_all(b"y").unwrap();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap(), "y");
    log.close().unwrap();
    assert_eq!(reader.next_chunk().await.unwrap(), None);
    assert_eq!(reader.next_chunk().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn reader_that_moves_wakes_its_last_task() {
    let (_folder, log) = new_log();
    let mut reader = log.reader();
    let mut no_task = Context::from_waker(Waker::noop());
    assert!(reader.poll_chunk(&mut no_task).is_pending());
    let reading = tokio::spawn(async move { reader.next_chunk().await });
    tokio::task::yield_now().await;
    log.writer().write_all(b"x").unwrap();
    let read = timeout(LONG, reading).await.expect("the task is woken");
    assert_eq!(read.unwrap().unwrap().unwrap(), "x");
}

#[tokio::test]
async fn empty_log_ends_cleanly() {
    let (_folder, log) = new_log();
    log.close().unwrap();
    assert!(read_all(log.reader()).await.is_empty());
    assert!(log.is_empty());
}

#[tokio::test]
async fn create_empties_an_existing_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.log");
    std::fs::write(&path, "the log of an earlier run").unwrap();
    let log = FollowedLog::create(&path).unwrap();
    assert!(log.is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    log.writer().write_all(b"new").unwrap();
    log.close().unwrap();
    assert_eq!(read_all(log.reader()).await, b"new");
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
}

#[tokio::test]
async fn writes_of_all_sizes_keep_order() {
    let (_folder, log) = new_log();
    let bytes = pattern(12 << 20);
    let follower = tokio::spawn(read_all(log.reader()));
    let sizes = [1, 99, 4096, 65_535, 65_536, 65_537, 300_000, 6 << 20];
    let mut rest = &bytes[..];
    for size in sizes.into_iter().cycle() {
        let (now, later) = rest.split_at(size.min(rest.len()));
        log.writer().write_all(now).unwrap();
        rest = later;
        tokio::task::yield_now().await;
        if rest.is_empty() {
            break;
        }
    }
    log.close().unwrap();
    assert!(follower.await.unwrap() == bytes);
    assert!(read_all(log.reader()).await == bytes);
    assert!(std::fs::read(log.path()).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_lines_do_not_interleave() {
    let (_folder, log) = new_log();
    let follower = tokio::spawn(read_all(log.reader()));
    let threads = (0..8_u8).map(|i| {
        let writer = log.writer();
        std::thread::spawn(move || {
            for len in (0..3000).map(|n| n * 7 % 500).chain([70_000, 200_000]) {
                let mut line = vec![b'a' + i; len];
                line.push(b'\n');
                writer.write_all(&line).unwrap();
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    log.close().unwrap();

    let bytes = follower.await.unwrap();
    let lines: Vec<&[u8]> = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line.iter().all(|byte| byte == &line[0]))
    );
    assert_eq!(
        bytes.iter().filter(|&&byte| byte == b'\n').count(),
        8 * 3002
    );
    assert_eq!(bytes.len() as u64, log.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_followers_get_every_byte() {
    let (_folder, log) = new_log();
    let bytes = pattern(3 << 20);
    let followers: Vec<_> = (0..100)
        .map(|_| tokio::spawn(read_all(log.reader())))
        .collect();
    let writer = log.writer();
    for line in bytes.chunks(100) {
        writer.write_all(line).unwrap();
    }
    log.close().unwrap();
    for follower in followers {
        assert!(follower.await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn reader_starts_at_its_offset() {
    let (_folder, log) = new_log();
    let bytes = pattern(200_000);
    log.writer().write_all(&bytes).unwrap();
    let in_file = tokio::spawn(read_all(log.reader_at(100)));
    let in_memory = tokio::spawn(read_all(log.reader_at(199_990)));
    tokio::task::yield_now().await;
    log.close().unwrap();
    assert!(in_file.await.unwrap() == bytes[100..]);
    assert_eq!(in_memory.await.unwrap(), bytes[199_990..]);
}

#[tokio::test(start_paused = true)]
async fn reader_past_the_end_waits_for_its_offset() {
    let (_folder, log) = new_log();
    let mut reader = log.reader_at(5);
    log.writer().write_all(b"01234").unwrap();
    assert!(timeout(LONG, reader.next_chunk()).await.is_err());
    log.writer().write_all(b"56").unwrap();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap(), "56");
}

#[tokio::test]
async fn reader_past_a_closed_end_ends_cleanly() {
    let (_folder, log) = new_log();
    log.writer().write_all(b"01234").unwrap();
    log.close().unwrap();
    assert_eq!(log.reader_at(100).next_chunk().await.unwrap(), None);
}

#[tokio::test]
async fn reader_seeks_in_all_directions() {
    let (_folder, log) = new_log();
    log.writer().write_all(b"0123456789").unwrap();
    log.close().unwrap();
    let mut reader = log.reader();
    let mut two = [0; 2];
    for (to, expected) in [
        (SeekFrom::Start(3), b"34"),
        (SeekFrom::Current(-4), b"12"),
        (SeekFrom::End(-2), b"89"),
    ] {
        reader.seek(to).await.unwrap();
        reader.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, expected);
    }
    assert!(reader.seek(SeekFrom::Current(-11)).await.is_err());
}

#[tokio::test]
async fn small_buffer_gets_every_byte() {
    let (_folder, log) = new_log();
    let bytes = pattern(70_000);
    log.writer().write_all(&bytes).unwrap();
    log.close().unwrap();
    let (mut reader, mut got, mut buffer) = (log.reader(), Vec::new(), [0; 7]);
    loop {
        match reader.read(&mut buffer).await.unwrap() {
            0 => break,
            n => got.extend_from_slice(&buffer[..n]),
        }
        assert_eq!(reader.offset(), got.len() as u64);
    }
    assert!(got == bytes);
}

#[tokio::test]
async fn dropped_read_loses_nothing() {
    let (_folder, log) = new_log();
    let bytes = pattern(1 << 20);
    log.writer().write_all(&bytes).unwrap();
    log.close().unwrap();
    let (mut reader, mut got) = (log.reader(), Vec::new());
    loop {
        // Every other read is dropped after its first poll.
        tokio::select! {
            biased;
            chunk = reader.next_chunk() => match chunk.unwrap() {
                Some(chunk) => got.extend_from_slice(&chunk),
                None => break,
            },
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(got == bytes);
}

#[test]
fn write_after_close_fails() {
    let (_folder, log) = new_log();
    let writer = log.writer();
    log.close().unwrap();
    assert!(matches!(
        writer.write_all(b"late"),
        Err(WriteLogError::Closed { .. })
    ));
    assert_eq!(log.len(), 0);
    log.close().unwrap();
}

#[test]
fn extract_requires_a_closed_log() {
    let (_folder, log) = new_log();
    log.writer().write_all(b"0123").unwrap();
    assert!(matches!(
        log.extract(),
        Err(ExtractLogError::NotClosed { .. })
    ));
    log.close().unwrap();
    let (mut one, mut other) = (log.extract().unwrap(), log.extract().unwrap());
    one.seek(SeekFrom::Start(2)).unwrap();
    let mut text = String::new();
    one.read_to_string(&mut text).unwrap();
    other.read_to_string(&mut text).unwrap();
    assert_eq!(text, "230123");
}

#[test]
fn extract_detects_a_changed_file() {
    let (_folder, log) = new_log();
    log.writer().write_all(b"0123").unwrap();
    log.close().unwrap();
    std::fs::write(log.path(), "01").unwrap();
    assert!(matches!(
        log.extract(),
        Err(ExtractLogError::Changed {
            expected: 4,
            actual: 2,
            ..
        })
    ));
}

#[test]
fn flush_writes_everything_to_the_file() {
    let (_folder, log) = new_log();
    let mut writer = log.writer();
    writer.write_all(b"one ").unwrap();
    Write::write_all(&mut writer, b"two").unwrap();
    writer.flush().unwrap();
    assert_eq!(std::fs::read(log.path()).unwrap(), b"one two");
}

#[test]
fn formatted_write_is_contiguous() {
    let (_folder, log) = new_log();
    let mut writer = log.writer();
    writeln!(writer, "{}-{}", 1, 2).unwrap();
    Write::write_fmt(&mut writer, format_args!("{}-{}\n", 3, 4)).unwrap();
    log.close().unwrap();
    assert_eq!(std::fs::read(log.path()).unwrap(), b"1-2\n3-4\n");
}

#[test]
fn write_on_new_line_ends_an_unfinished_line() {
    let (_folder, log) = new_log();
    let writer = log.writer();
    for (output, own) in [("", "1\n"), ("whole\n", "2\n"), ("begun", "3\n")] {
        writer.write_all(output.as_bytes()).unwrap();
        writer.write_on_new_line(own.as_bytes()).unwrap();
    }
    writer.write_all(&[b'x'; 100_000]).unwrap();
    writer.flush().unwrap();
    writer.write_on_new_line(&[b'y'; 100_000]).unwrap();
    log.close().unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    let (x, y) = ("x".repeat(100_000), "y".repeat(100_000));
    assert!(text == format!("1\nwhole\n2\nbegun\n3\n{x}\n{y}"));
}

#[tokio::test]
async fn busy_source_does_not_starve_tasks() {
    let (_folder, log) = new_log();
    let mut writer = log.writer();
    let writing = tokio::spawn(async move {
        loop {
            AsyncWriteExt::write_all(&mut writer, b"x").await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn async_writer_writes_everything() {
    let (_folder, log) = new_log();
    let bytes = pattern(10 << 20);
    let follower = tokio::spawn(read_all(log.reader()));
    let mut writer = log.writer();
    AsyncWriteExt::write_all(&mut writer, &bytes).await.unwrap();
    AsyncWriteExt::flush(&mut writer).await.unwrap();
    log.close().unwrap();
    assert!(follower.await.unwrap() == bytes);
}

#[cfg(unix)]
#[test]
fn file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, log) = new_log();
    let mode = std::fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}
