//! Measures the folder of a task while its commands run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::util::ByteSize;
use runtime_core::{TreeSize, error_chain, measure_tree};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

/// The minimum interval between measurements.
const INTERVAL: Duration = Duration::from_secs(1);

/// The maximum interval between measurements, even if they take long.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// The minimum ratio of an interval to the duration of the measurement before it, up to the maximum interval:
/// measurements take at most one percent of the time of a thread.
const MIN_INTERVAL_RATIO: u32 = 100;

/// The number of failed measurements in a row that end the task. A command may move and remove folders during some.
const MAX_FAILURES: u32 = 5;

/// The limit of a task's folder. It belongs to the task: neither a new command nor another request delays the next
/// measurement.
pub(crate) struct DiskWatch {
    folder: PathBuf,
    limit: Option<u64>,
    next: Instant,
    /// The failed measurements in a row.
    failures: u32,
    running: Option<Measurement>,
}

/// A measurement on its thread.
struct Measurement {
    start: Instant,
    size: JoinHandle<io::Result<TreeSize>>,
}

impl DiskWatch {
    pub(crate) fn new(folder: PathBuf, limit: Option<u64>) -> Self {
        Self {
            folder,
            limit,
            next: Instant::now() + INTERVAL,
            failures: 0,
            running: None,
        }
    }

    /// Waits until the folder is larger than its limit or cannot be measured, and returns the reason for the log of the
    /// task. Never returns without a limit.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn must_end(&mut self) -> String {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        loop {
            if self.running.is_none() {
                sleep_until(self.next).await;
            }
            if let Err(reason) = self.measure(limit).await {
                return reason;
            }
        }
    }

    /// Measures the folder after a command. An error is the reason why the task must end.
    ///
    /// # Cancel safety
    ///
    /// Safe: a measurement may continue on its thread.
    pub(crate) async fn check(&mut self) -> Result<(), String> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        if self.running.is_some() {
            // It may have missed the last files of the command.
            self.measure(limit).await?;
        }
        self.measure(limit).await
    }

    /// Waits for the running measurement, or starts one.
    async fn measure(&mut self, limit: u64) -> Result<(), String> {
        let running = self.running.get_or_insert_with(|| {
            let folder = self.folder.clone();
            Measurement {
                start: Instant::now(),
                size: spawn_blocking(move || measure_tree(&folder)),
            }
        });
        let size = (&mut running.size).await;
        let interval = running.start.elapsed().saturating_mul(MIN_INTERVAL_RATIO);
        self.next = Instant::now() + interval.clamp(INTERVAL, MAX_INTERVAL);
        self.running = None;
        match size.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(size) if size.disk_bytes > limit => Err(reason(size.disk_bytes, limit)),
            Ok(_) => {
                self.failures = 0;
                Ok(())
            }
            Err(error) => {
                self.failures += 1;
                let is_last = self.failures >= MAX_FAILURES;
                if is_last {
                    Err(unmeasurable(&error))
                } else {
                    Ok(())
                }
            }
        }
    }
}

fn unmeasurable(error: &io::Error) -> String {
    let error = error_chain(error);
    format!(
        "Unknown disk space: the worker ended this task, whose folder has a limit and cannot be measured: {error}. Let \
         the user of the worker read all folders of the task"
    )
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
    use tokio::time::timeout;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn growing_folder_is_noticed() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut watch = DiskWatch::new(folder.path().to_owned(), Some(4 * MIB));
        let block = vec![1; MIB as usize];
        fs::write(folder.path().join("a"), &block)?;
        assert!(timeout(INTERVAL * 5, watch.must_end()).await.is_err());
        fs::create_dir(folder.path().join("inner"))?;
        for name in ["inner/a", "inner/b", "inner/c", "inner/d"] {
            fs::write(folder.path().join(name), &block)?;
        }
        let reason = watch.must_end().await;
        assert!(reason.contains("; the limit is 4 MiB"), "{reason}");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn short_waits_delay_no_measurement() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut watch = DiskWatch::new(folder.path().to_owned(), Some(MIB));
        fs::write(folder.path().join("a"), vec![1; 2 << 20])?;
        for _ in 0..1000 {
            if timeout(INTERVAL / 10, watch.must_end()).await.is_ok() {
                return Ok(());
            }
        }
        panic!("no measurement was made");
    }

    #[tokio::test(start_paused = true)]
    async fn check_measures_at_once() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut watch = DiskWatch::new(folder.path().to_owned(), Some(MIB));
        assert_eq!(watch.check().await, Ok(()));
        fs::write(folder.path().join("a"), vec![1; 2 << 20])?;
        assert!(watch.check().await.is_err());
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn unmeasurable_folder_ends_the_task() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let missing = folder.path().join("missing");
        let mut watch = DiskWatch::new(missing.clone(), Some(MIB));
        for _ in 1..MAX_FAILURES {
            assert_eq!(watch.check().await, Ok(()));
        }
        fs::create_dir(&missing)?;
        assert_eq!(watch.check().await, Ok(()));
        fs::remove_dir(&missing)?;
        let start = Instant::now();
        let reason = watch.must_end().await;
        assert!(reason.contains("cannot be measured: "), "{reason}");
        assert!(start.elapsed() >= INTERVAL * MAX_FAILURES);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn missing_limit_ends_nothing() {
        let mut watch = DiskWatch::new("/no/such/folder".into(), None);
        assert!(timeout(INTERVAL * 10, watch.must_end()).await.is_err());
        assert_eq!(watch.check().await, Ok(()));
    }
}
