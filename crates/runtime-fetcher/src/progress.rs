//! Progress of a fetch, for logs and progress bars.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::util::ByteSize;
use tokio::time::Instant;

use crate::attempt_error::AttemptError;

/// A progress event of a fetch.
///
/// `Display` writes one line for a log, such as `example.com/a.tar: 12.3 MiB of 40.0 MiB, 8.1 MiB/s`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchProgress {
    /// The subject of the reference.
    pub subject: Arc<str>,
    /// The stage of the fetch.
    pub stage: FetchStage,
    /// The bytes received, before decoding.
    pub bytes: u64,
    /// The length of the body before decoding, if the server announced it.
    pub total: Option<u64>,
    /// Bytes per second since the previous event; in the last event, over the whole fetch.
    pub rate: f64,
}

/// The stage of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchStage {
    /// The first event of a fetch.
    Started,
    /// An event during the transfer.
    Running,
    /// The last event: the bytes are complete and verified.
    Finished,
    /// The last event: the fetch failed or was dropped.
    Stopped,
}

/// A retry event: an attempt failed, and the fetch waits before the next one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retrying<'a> {
    /// The subject of the reference.
    pub subject: &'a str,
    /// The number of requests so far.
    pub attempts: u32,
    /// The wait before the next attempt.
    pub delay: Duration,
    /// The error of the last attempt.
    pub cause: &'a AttemptError,
}

/// A receiver of progress and retry events. A closure over `&FetchProgress` is a listener.
///
/// The fetch calls it inline, so calls must be short. A fetch reports [`FetchStage::Started`] first and
/// [`FetchStage::Finished`] or [`FetchStage::Stopped`] last.
pub trait ProgressListener: Send + Sync {
    /// Receives progress: at the start, at the end, and at most once per configured interval in between.
    fn progress(&self, progress: &FetchProgress);

    /// Receives a failed attempt that is retried. Does nothing by default.
    fn retrying(&self, retrying: &Retrying<'_>) {
        let _ = retrying;
    }
}

impl<F: Fn(&FetchProgress) + Send + Sync> ProgressListener for F {
    fn progress(&self, progress: &FetchProgress) {
        self(progress);
    }
}

/// Counts the bytes of one fetch and reports them to its listener.
pub(crate) struct ProgressMeter {
    listener: Arc<dyn ProgressListener>,
    interval: Duration,
    progress: FetchProgress,
    start: Instant,
    /// The time of the previous event, and `transferred` at that time.
    last_event: (Instant, u64),
    /// The bytes received in all passes, for the rate: `progress.bytes` starts again when a pass does.
    transferred: u64,
}

impl ProgressMeter {
    /// Creates a meter and reports [`FetchStage::Started`].
    pub(crate) fn start(
        subject: &str,
        listener: Arc<dyn ProgressListener>,
        interval: Duration,
    ) -> Self {
        let start = Instant::now();
        let progress = FetchProgress {
            subject: subject.into(),
            stage: FetchStage::Started,
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
            last_event: (start, 0),
            transferred: 0,
        }
    }

    /// Sets the position of a body that starts or resumes.
    pub(crate) fn set_position(&mut self, bytes: u64, total: Option<u64>) {
        self.progress.bytes = bytes;
        self.progress.total = total;
    }

    /// Counts received bytes, and reports them if the interval has passed.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count(bytes);
        let now = Instant::now();
        let (since, transferred) = self.last_event;
        if now - since < self.interval {
            return;
        }
        self.progress.rate = rate(self.transferred - transferred, now - since);
        self.progress.stage = FetchStage::Running;
        self.last_event = (now, self.transferred);
        self.listener.progress(&self.progress);
    }

    /// Takes over the position of a fetch of the same bytes that another meter measures.
    #[cfg(feature = "cache")]
    pub(crate) fn follow(&mut self, bytes: u64, total: Option<u64>, is_complete: bool) {
        let received = bytes.saturating_sub(self.progress.bytes);
        self.set_position(bytes - received, total);
        if is_complete {
            // `finish` reports the end; another event just before it would say the same.
            self.count(received);
        } else if received > 0 {
            self.add(received);
        }
    }

    /// Reports a failed attempt that is retried after `delay`.
    pub(crate) fn retrying(&self, attempts: u32, delay: Duration, cause: &AttemptError) {
        self.listener.retrying(&Retrying {
            subject: &self.progress.subject,
            attempts,
            delay,
            cause,
        });
    }

    /// Reports [`FetchStage::Finished`]. A meter that is dropped instead reports [`FetchStage::Stopped`].
    pub(crate) fn finish(mut self) {
        self.end(FetchStage::Finished);
    }

    fn count(&mut self, bytes: u64) {
        self.progress.bytes += bytes;
        self.transferred += bytes;
    }

    fn end(&mut self, stage: FetchStage) {
        self.progress.stage = stage;
        self.progress.rate = rate(self.transferred, self.start.elapsed());
        self.listener.progress(&self.progress);
    }
}

impl Drop for ProgressMeter {
    fn drop(&mut self) {
        // A dropped future runs no other code, so the last event is reported here.
        if self.progress.stage != FetchStage::Finished {
            self.end(FetchStage::Stopped);
        }
    }
}

fn rate(bytes: u64, time: Duration) -> f64 {
    // A fetch from memory may take no measurable time.
    bytes as f64 / time.as_secs_f64().max(1e-6)
}

impl fmt::Display for FetchProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, ByteSize(self.bytes))?;
        if let Some(total) = self.total {
            write!(f, " of {}", ByteSize(total))?;
        }
        write!(f, ", {}/s", ByteSize(self.rate as u64))
    }
}
