//! Measures the folder of a task while a command runs.

use std::path::PathBuf;
use std::time::Duration;

use runtime_core::measure_tree;
use runtime_core::util::ByteSize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// The least time between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// The minimum ratio of an interval and the measurement before it, which takes at most one percent of the time of a
/// thread.
const MIN_INTERVAL_RATIO: u32 = 100;

/// The limit of a task's folder.
pub(crate) struct DiskWatch {
    folder: PathBuf,
    limit: Option<u64>,
}

impl DiskWatch {
    pub(crate) fn new(folder: PathBuf, limit: Option<u64>) -> Self {
        Self { folder, limit }
    }

    /// Waits until the folder is larger than its limit, and returns the reason for the log of the task. Never returns
    /// without a limit.
    ///
    /// # Cancel safety
    ///
    /// Safe: a measurement may continue on its thread.
    pub(crate) async fn must_end(&self) -> String {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        let mut interval = INTERVAL;
        loop {
            sleep(interval).await;
            let start = Instant::now();
            let folder = self.folder.clone();
            let measured = spawn_blocking(move || measure_tree(&folder)).await;
            // A command may move and lock folders meanwhile. The next measurement may succeed.
            if let Ok(Ok(size)) = measured
                && size.disk_bytes > limit
            {
                return reason(size.disk_bytes, limit);
            }
            interval = INTERVAL.max(start.elapsed() * MIN_INTERVAL_RATIO);
        }
    }
}

fn reason(bytes: u64, limit: u64) -> String {
    let (bytes, limit) = (ByteSize(bytes), ByteSize(limit).to_exact_text());
    format!(
        "Out of disk space: the worker ended this task, whose folder uses {bytes}; the limit is {limit}"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn growing_folder_is_noticed() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let watch = DiskWatch::new(folder.path().to_owned(), Some(4 * MIB));
        let block = vec![1; MIB as usize];
        let must_end = tokio::time::timeout(INTERVAL * 5, watch.must_end());
        fs::write(folder.path().join("a"), &block)?;
        assert!(must_end.await.is_err());
        fs::create_dir(folder.path().join("inner"))?;
        for name in ["inner/a", "inner/b", "inner/c", "inner/d"] {
            fs::write(folder.path().join(name), &block)?;
        }
        let reason = watch.must_end().await;
        assert!(reason.contains("; the limit is 4 MiB"), "{reason}");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn missing_limit_and_folder_end_nothing() {
        for limit in [None, Some(0)] {
            let watch = DiskWatch::new("/no/such/folder".into(), limit);
            let must_end = tokio::time::timeout(INTERVAL * 10, watch.must_end());
            assert!(must_end.await.is_err(), "{limit:?}");
        }
    }
}
