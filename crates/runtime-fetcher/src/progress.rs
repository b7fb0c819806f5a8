//! Progress of a fetch, for logs and progress bars.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::error_chain;
use runtime_core::util::ByteSize;
use tokio::time::Instant;

use crate::attempt_error::AttemptError;

/// A progress event of a fetch.
///
/// `Display` writes one line for a log, such as `Fetching example.com/a.tar: 12.3 MiB of 40.0 MiB, 8.1 MiB/s`.
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
///
/// The first event of a fetch is [`Started`](Self::Started), the last one [`Finished`](Self::Finished) or
/// [`Stopped`](Self::Stopped).
#[derive(Clone, Debug)]
pub enum FetchStage {
    /// The fetch begins.
    Started,
    /// Bytes were received. Reported at most once per configured interval.
    Running,
    /// An attempt failed, and the fetch waits before the next one.
    Retrying {
        /// The number of requests so far.
        attempts: u32,
        /// The wait before the next attempt.
        delay: Duration,
        /// The error of the last attempt.
        cause: Arc<AttemptError>,
    },
    /// The bytes are complete and verified.
    Finished,
    /// The fetch failed or was dropped.
    Stopped,
}

/// A receiver of progress events.
pub(crate) type ProgressListener = Arc<dyn Fn(&FetchProgress) + Send + Sync>;

/// Counts the bytes of one fetch and reports them to its listener.
pub(crate) struct ProgressMeter {
    listener: ProgressListener,
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
    pub(crate) fn start(subject: &str, listener: ProgressListener, interval: Duration) -> Self {
        let start = Instant::now();
        let progress = FetchProgress {
            subject: subject.into(),
            stage: FetchStage::Started,
            bytes: 0,
            total: None,
            rate: 0.0,
        };
        call(&listener, &progress);
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
        self.last_event = (now, self.transferred);
        self.report(FetchStage::Running);
    }

    /// Takes over the position of a fetch of the same bytes that another meter measures.
    #[cfg(feature = "cache")]
    pub(crate) fn follow(&mut self, bytes: u64, total: Option<u64>, is_last: bool) {
        let received = bytes.saturating_sub(self.progress.bytes);
        self.set_position(bytes - received, total);
        if is_last {
            // `finish` reports the end; another event just before it would say the same.
            self.count(received);
        } else if received > 0 {
            self.add(received);
        }
    }

    /// Reports a failed attempt that is retried after `delay`.
    pub(crate) fn retrying(&mut self, attempts: u32, delay: Duration, cause: AttemptError) {
        self.report(FetchStage::Retrying {
            attempts,
            delay,
            cause: Arc::new(cause),
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
        self.progress.rate = rate(self.transferred, self.start.elapsed());
        self.report(stage);
    }

    fn report(&mut self, stage: FetchStage) {
        self.progress.stage = stage;
        call(&self.listener, &self.progress);
    }
}

/// Calls a listener. Its panic, which the hook of the process has printed, must not end a fetch for which other tasks may
/// wait. In a destructor, a second panic would abort the process.
fn call(listener: &ProgressListener, progress: &FetchProgress) {
    let _ = catch_unwind(AssertUnwindSafe(|| listener(progress)));
}

impl Drop for ProgressMeter {
    fn drop(&mut self) {
        // A dropped future runs no other code, so the last event is reported here.
        if !matches!(self.progress.stage, FetchStage::Finished) {
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
        let subject = &self.subject;
        let verb = match &self.stage {
            FetchStage::Started => return write!(f, "Fetching {subject}"),
            FetchStage::Retrying {
                attempts,
                delay,
                cause,
            } => {
                let cause = error_chain(&**cause);
                return write!(
                    f,
                    "Attempt {attempts} to fetch {subject} failed, retrying in {delay:.1?}: {cause}"
                );
            }
            FetchStage::Running => "Fetching",
            FetchStage::Finished => "Fetched",
            FetchStage::Stopped => "Stopped fetching",
        };
        write!(f, "{verb} {subject}: {}", ByteSize(self.bytes))?;
        if let Some(total) = self.total {
            write!(f, " of {}", ByteSize(total))?;
        }
        write!(f, ", {}/s", ByteSize(self.rate as u64))
    }
}
