//! How far a fetch is, for logs and progress bars.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::AttemptError;

/// How far a fetch is.
///
/// `Display` writes one line for a log, such as `example.com/a.tar: 12.3 MiB of 40.0 MiB, 8.1 MiB/s`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchProgress {
    /// What is fetched.
    pub subject: Arc<str>,
    /// Where in its life the fetch is.
    pub stage: Stage,
    /// How many bytes came, as they travel: before they are decoded.
    pub bytes: u64,
    /// How many there are, if the server said.
    pub total: Option<u64>,
    /// Bytes per second since the last event; over all at the end.
    pub rate: f64,
}

/// Where in its life a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first event of a fetch.
    Started,
    /// Bytes come.
    Running,
    /// The last event: complete and verified.
    Finished,
    /// The last event: the fetch ended in another way, or was dropped.
    Stopped,
}

/// A fetch that waits to try again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retrying<'a> {
    /// What is fetched.
    pub subject: &'a str,
    /// How many attempts failed.
    pub attempts: u32,
    /// How long it waits.
    pub delay: Duration,
    /// Why the last attempt failed.
    pub cause: &'a AttemptError,
}

/// Hears how fetches go. Calls come from within the fetch, so they must be short.
///
/// Every fetch of bytes gives [`Stage::Started`] first and [`Stage::Finished`] or
/// [`Stage::Stopped`] last. A closure over `&FetchProgress` is a listener.
pub trait ProgressListener: Send + Sync {
    /// Bytes came; at most once per interval, and always at start and end.
    fn progress(&self, progress: &FetchProgress);

    /// An attempt failed, and another follows.
    fn retrying(&self, retrying: &Retrying<'_>) {
        let _ = retrying;
    }
}

impl<F: Fn(&FetchProgress) + Send + Sync> ProgressListener for F {
    fn progress(&self, progress: &FetchProgress) {
        self(progress);
    }
}

/// Counts the bytes of one fetch and tells the listener now and then.
pub(crate) struct Meter {
    listener: Arc<dyn ProgressListener>,
    interval: Duration,
    progress: FetchProgress,
    start: Instant,
    last: (Instant, u64),
    moved: u64,
}

impl Meter {
    pub(crate) fn start(
        subject: &str,
        listener: Arc<dyn ProgressListener>,
        interval: Duration,
    ) -> Self {
        let start = Instant::now();
        let progress = FetchProgress {
            subject: subject.into(),
            stage: Stage::Started,
            bytes: 0,
            total: None,
            rate: 0.0,
        };
        listener.progress(&progress);
        Self {
            listener,
            interval,
            progress,
            start,
            last: (start, 0),
            moved: 0,
        }
    }

    /// A body starts, or goes on, at `bytes`.
    pub(crate) fn position(&mut self, bytes: u64, total: Option<u64>) {
        self.progress.bytes = bytes;
        self.progress.total = total;
    }

    /// `bytes` more came, which nobody is told yet.
    pub(crate) fn count(&mut self, bytes: u64) {
        self.progress.bytes += bytes;
        self.moved += bytes;
    }

    /// `bytes` more came.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count(bytes);
        let now = Instant::now();
        let (since, moved_then) = self.last;
        if now - since < self.interval {
            return;
        }
        self.progress.rate = rate(self.moved - moved_then, now - since);
        self.progress.stage = Stage::Running;
        self.last = (now, self.moved);
        self.listener.progress(&self.progress);
    }

    /// An attempt failed, and the fetch waits for the next one.
    pub(crate) fn retrying(&self, attempts: u32, delay: Duration, cause: &AttemptError) {
        self.listener.retrying(&Retrying {
            subject: &self.progress.subject,
            attempts,
            delay,
            cause,
        });
    }

    /// The fetch is complete and verified.
    pub(crate) fn finish(mut self) {
        self.end(Stage::Finished);
    }

    fn end(&mut self, stage: Stage) {
        self.progress.stage = stage;
        self.progress.rate = rate(self.moved, self.start.elapsed());
        self.listener.progress(&self.progress);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.progress.stage != Stage::Finished {
            self.end(Stage::Stopped);
        }
    }
}

fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(1e-6)
}

impl fmt::Display for FetchProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, Size(self.bytes as f64))?;
        if let Some(total) = self.total {
            write!(f, " of {}", Size(total as f64))?;
        }
        write!(f, ", {}/s", Size(self.rate))
    }
}

/// A number of bytes for people.
struct Size(f64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024.0 {
            return write!(f, "{:.0} B", self.0);
        }
        let mut value = self.0 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}
