//! Memory usage of a large log with many readers.

#![cfg(target_os = "linux")]

use std::io;
use std::process::Command;

use runtime_ioext::{FollowedLog, LogReader};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::AsyncReadExt;

/// Marks the second process of the test, and names its log.
const FOLDER: &str = "RUNTIME_IOEXT_MEMORY_TEST";
const LIMIT: u64 = 64 << 20;
const LOG: u64 = 2 << 30;
const LAGGING: usize = 99;
/// Interval in written bytes at which lagging readers read.
const STRIDE: u64 = 64 << 20;

/// Runs this test again in a process with a limit of 64 MiB.
#[test]
fn log_of_2_gib_with_100_readers_fits_in_64_mib() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_and_read(folder.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "log_of_2_gib_with_100_readers_fits_in_64_mib",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        std::fs::metadata(folder.path().join("task.log"))
            .unwrap()
            .len(),
        LOG
    );
}

fn write_and_read(folder: &std::path::Path) {
    setrlimit(
        Resource::Data,
        Rlimit {
            current: Some(LIMIT),
            maximum: Some(LIMIT),
        },
    )
    .unwrap();
    assert!(
        Vec::<u8>::new().try_reserve_exact(LIMIT as usize).is_err(),
        "the limit is in force"
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let log = FollowedLog::create(folder.join("task.log")).unwrap();
    let follower = runtime.spawn(count(log.reader()));
    let mut lagging: Vec<_> = (0..LAGGING).map(|_| log.reader()).collect();

    let (writer, piece) = (log.writer(), [b'x'; 8192]);
    while log.len() < LOG {
        writer.write_all(&piece).unwrap();
        if log.len().is_multiple_of(STRIDE) {
            runtime.block_on(read_some_each(&mut lagging)).unwrap();
        }
    }
    log.close().unwrap();
    assert_eq!(runtime.block_on(follower).unwrap().unwrap(), LOG);
    for reader in &lagging {
        assert!((STRIDE / 64..LOG / 2).contains(&reader.offset()));
    }
}

/// Lets each reader continue with a small buffer, so that it holds its internal buffer as well.
async fn read_some_each(readers: &mut [LogReader]) -> io::Result<()> {
    for reader in readers {
        reader.next_chunk().await?;
        reader.read_exact(&mut [0; 100]).await?;
    }
    Ok(())
}

async fn count(mut reader: LogReader) -> io::Result<u64> {
    while reader.next_chunk().await?.is_some() {}
    Ok(reader.offset())
}
