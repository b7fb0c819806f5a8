//! The end of a task's log, which waits for the disk.

use std::time::Duration;

use runtime_core::BoxError;
use runtime_core::log::FollowedLog;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// The time after which the size of the log's file counts as unknown.
const SIZE_TIMEOUT: Duration = Duration::from_secs(1);

/// Closes the log: all pending bytes are written to its file, unless it is short and has none.
///
/// The wait is as long as the disk needs. Only a disk that accepts nothing for `hang_timeout` ends it.
///
/// # Errors
///
/// If the log is incomplete. The error contains the number of lost bytes if the disk hangs.
pub(super) async fn close(log: &FollowedLog, hang_timeout: Duration) -> Result<(), BoxError> {
    if log.close_in_memory() {
        return Ok(());
    }
    let path = log.path().to_owned();
    let size = move || std::fs::metadata(&path).map(|file| file.len()).ok();
    let closing = log.clone();
    // Not on this thread, which also reclaims the run.
    let closed = spawn_blocking(move || closing.close());
    match wait_for_progress(closed, size, hang_timeout).await {
        Ok(closed) => Ok(closed?),
        Err(DiskStalled { written }) => {
            let (lost, seconds) = (log.len().saturating_sub(written), hang_timeout.as_secs());
            Err(format!(
                "the last {lost} bytes of the log are lost: its disk accepted no data for {seconds} s"
            )
            .into())
        }
    }
}

/// The error of a log on a full disk.
#[derive(Debug, thiserror::Error)]
#[error("the disk of the worker is full, so the end of this log is missing")]
pub(super) struct LogDiskFull;

/// Returns whether the log has failed because its disk is full.
pub(super) fn is_disk_full(log: &FollowedLog) -> bool {
    let error = log.write_error();
    error.is_some_and(|error| runtime_core::util::is_disk_full(&error))
}

/// The disk has accepted no data.
#[derive(Debug)]
struct DiskStalled {
    /// The number of bytes in the file.
    written: u64,
}

/// Waits for `work`, as long as `size` changes at least once in each `interval`.
async fn wait_for_progress<T>(
    mut work: JoinHandle<T>,
    size: impl Fn() -> Option<u64> + Clone + Send + 'static,
    interval: Duration,
) -> Result<T, DiskStalled> {
    let mut last = None;
    loop {
        if let Ok(ended) = timeout(interval, &mut work).await {
            match ended {
                Ok(output) => return Ok(output),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime shuts down.
                    Err(_) => std::future::pending().await,
                },
            }
        }
        // A file system that hangs may block this call as well.
        let written = timeout(SIZE_TIMEOUT, spawn_blocking(size.clone())).await;
        let written = written.ok().and_then(Result::ok).flatten();
        // The first pass has nothing to compare with, so a disk that hangs is detected after at
        // most two intervals.
        if written == last {
            let written = written.unwrap_or_default();
            return Err(DiskStalled { written });
        }
        last = written;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    const HANG: Duration = Duration::from_secs(60);

    /// Writes to a disk once in each interval, and returns the outcome and duration of the wait.
    async fn close_with_writes(writes: u64) -> (Result<(), DiskStalled>, Duration) {
        let (size, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let written = Arc::clone(&size);
        let work = tokio::spawn(async move {
            for _ in 0..writes {
                sleep(HANG / 2).await;
                written.fetch_add(100, Ordering::SeqCst);
            }
            if writes == 1 {
                std::future::pending::<()>().await;
            }
        });
        let size = move || Some(size.load(Ordering::SeqCst));
        let outcome = wait_for_progress(work, size, HANG).await;
        (outcome, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_disk_is_awaited() {
        let (outcome, took) = close_with_writes(10).await;
        assert!(outcome.is_ok());
        assert_eq!(took, 5 * HANG);
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_disk_ends_the_wait() {
        let (outcome, took) = close_with_writes(1).await;
        assert_eq!(outcome.expect_err("the disk hangs").written, 100);
        assert_eq!(took, 2 * HANG);
    }
}
