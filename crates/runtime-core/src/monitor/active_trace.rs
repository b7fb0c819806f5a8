//! Records the steps of a running task as spans.

use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use runtime_gc::error_chain;
use runtime_ioext::log::Redactor;
use tokio::time::Instant;

use super::Monitor;
use super::trace::{FinishedTrace, TraceId, TraceSpan};
use crate::id::Run;

/// The maximum number of spans of a trace.
const MAX_SPANS: u64 = 1000;

/// The number of spans that are reserved for direct children of the task, so that its stages are recorded even after
/// many fetches.
const RESERVED_FOR_STAGES: u64 = 50;

/// The maximum length of an attribute and of an error, which may be chosen by the author of the task.
const MAX_TEXT_BYTES: usize = 4096;

tokio::task_local! {
    /// The innermost span of the run that is being polled.
    ///
    /// A task-local, because the methods of plugins and ports between two spans have no parameter for the
    /// span.
    static CURRENT: CurrentSpan;
}

/// The place of the current span.
#[derive(Clone)]
struct CurrentSpan {
    trace: Arc<ActiveTrace>,
    span: u64,
}

/// The trace of a running task.
struct ActiveTrace {
    id: TraceId,
    monitor: Monitor,
    /// Redacts the secrets of the task.
    redactor: Redactor,
    /// One point in time, as wall time and as monotonic time. All times are computed from this pair, so that changes
    /// of the wall clock neither reorder spans nor move them out of their parents.
    origin: (Timestamp, Instant),
    /// `None` if the sink records no traces.
    spans: Option<Mutex<Spans>>,
}

#[derive(Default)]
struct Spans {
    started: u64,
    dropped: u64,
    finished: Vec<TraceSpan>,
}

/// # Traces
impl Monitor {
    /// Awaits `work`, and records its [`traced`] steps as the trace of a task, which the sink receives at the end.
    ///
    /// `redactor` is that of the task's [`TaskContext`](crate::TaskContext). The first span, `claim`, starts at
    /// `pending_since` and ends at the call. `failure` returns the reason of the failure if the result is a failure.
    /// The trace has at most 1000 spans.
    ///
    /// # Cancel safety
    ///
    /// As safe as `work`. If the future is dropped, the trace ends with a failure.
    pub async fn trace_task<T>(
        &self,
        (run, redactor): (&Run, &Redactor),
        pending_since: Timestamp,
        work: impl Future<Output = T>,
        failure: impl FnOnce(&T) -> Option<String>,
    ) -> T {
        let now = Timestamp::now();
        let trace = Arc::new(ActiveTrace {
            id: TraceId::of(run),
            monitor: self.clone(),
            redactor: redactor.clone(),
            origin: (now, Instant::now()),
            spans: self.sink.records_traces().then(Mutex::default),
        });
        let root = CurrentSpan {
            span: trace.id.root_span(),
            trace,
        };
        let start = pending_since.min(now);
        let mut task_span = root.trace.begin(None, "task", Vec::new, start);
        if let Some(mut claim) = root.trace.begin(Some(root.span), "claim", Vec::new, start) {
            claim.finish(None);
        }
        // Dropped before the spans, so that the spans of its steps end before the trace does.
        let work = pin!(work);
        let value = CURRENT.scope(root, work).await;
        if let Some(span) = &mut task_span {
            span.finish(failure(&value));
        }
        value
    }

    /// Returns the value of the variable `TRACEPARENT` for the processes of the current task: the W3C trace context with the
    /// span of the whole task as parent. `None` outside of a task and if the sink records no traces.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let root = CURRENT.try_with(|it| it.trace.spans.as_ref().map(|_| it.trace.id));
        let id = root.ok().flatten()?;
        Some(format!("00-{id}-{:016x}-01", id.root_span()))
    }
}

/// Returns the id of the trace of the current task, whether or not the sink records traces. `None` outside of a task.
#[must_use]
pub fn current_trace_id() -> Option<TraceId> {
    CURRENT.try_with(|position| position.trace.id).ok()
}

/// Awaits `work`, and records it as a step of the current task. Outside of a task, and if the sink records no traces,
/// it only awaits `work`.
///
/// Steps within `work` become children of the step, except those in other tokio tasks. `attributes` are evaluated only if the
/// step is recorded.
///
/// ```
/// # use std::io;
/// use runtime_core::monitor::traced;
///
/// async fn boot(device: &str) -> io::Result<()> {
///     let attributes = || vec![("device", device.to_owned())];
///     traced("boot", attributes, async { Ok(()) }).await
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(boot("pixel-7")).unwrap();
/// ```
///
/// # Errors
///
/// The error of `work`.
///
/// # Cancel safety
///
/// As safe as `work`. If the future is dropped, the step ends with a failure.
pub async fn traced<T, E: Error + 'static>(
    name: &'static str,
    attributes: impl FnOnce() -> Vec<(&'static str, String)>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let failure = |result: &Result<T, E>| result.as_ref().err().map(|error| error_chain(error));
    traced_with(name, attributes, work, failure).await
}

/// Like [`traced`], with a function that returns the reason of the failure if the result is a failure.
///
/// # Cancel safety
///
/// That of [`traced`].
pub async fn traced_with<T>(
    name: &'static str,
    attributes: impl FnOnce() -> Vec<(&'static str, String)>,
    work: impl Future<Output = T>,
    failure: impl FnOnce(&T) -> Option<String>,
) -> T {
    let mut span = CURRENT.try_with(|position| position.begin(name, attributes));
    let work = pin!(work);
    let Ok(Some(span)) = &mut span else {
        return work.await;
    };
    let value = CURRENT.scope(span.position(), work).await;
    span.finish(failure(&value));
    value
}

impl CurrentSpan {
    fn begin(
        &self,
        name: &'static str,
        attributes: impl FnOnce() -> Vec<(&'static str, String)>,
    ) -> Option<OpenSpan> {
        let trace = &self.trace;
        trace.spans.as_ref()?;
        trace.begin(Some(self.span), name, attributes, trace.now())
    }
}

impl ActiveTrace {
    fn begin(
        self: &Arc<Self>,
        parent: Option<u64>,
        name: &'static str,
        attributes: impl FnOnce() -> Vec<(&'static str, String)>,
        start: Timestamp,
    ) -> Option<OpenSpan> {
        let root = self.id.root_span();
        let number = {
            let mut spans = self.spans.as_ref()?.lock();
            let is_stage = parent.is_none_or(|parent| parent == root);
            let limit = if is_stage {
                MAX_SPANS
            } else {
                MAX_SPANS - RESERVED_FOR_STAGES
            };
            if spans.started >= limit {
                spans.dropped += 1;
                return None;
            }
            spans.started += 1;
            spans.started - 1
        };
        Some(OpenSpan {
            trace: Arc::clone(self),
            span: Some(TraceSpan {
                // The first span is the root.
                id: root.wrapping_add(number),
                parent,
                name,
                attributes: attributes(),
                start,
                end: start,
                error: Some("dropped before its end".to_owned()),
            }),
        })
    }

    fn now(&self) -> Timestamp {
        let (wall, monotonic) = self.origin;
        let elapsed = SignedDuration::try_from(monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        wall.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Adds a finished span. The span of the task is the last one and completes the trace.
    fn record(&self, mut span: TraceSpan) {
        let Some(spans) = &self.spans else { return };
        span.end = self.now().max(span.start);
        let attributes = span.attributes.iter_mut().map(|(_, value)| value);
        for text in attributes.chain(&mut span.error) {
            *text = self.redactor.redact_str(text).into_owned();
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        }
        let is_last = span.parent.is_none();
        let trace = {
            let mut spans = spans.lock();
            spans.finished.push(span);
            if !is_last {
                return;
            }
            FinishedTrace {
                id: self.id,
                spans: std::mem::take(&mut spans.finished),
                dropped: spans.dropped,
            }
        };
        // A sink is foreign code, and this may be a destructor, where a second panic would abort the process.
        let record = || self.monitor.sink.record_trace(&self.monitor.tags, trace);
        let _ = catch_unwind(AssertUnwindSafe(record));
    }
}

/// A started span, which is recorded when dropped.
struct OpenSpan {
    trace: Arc<ActiveTrace>,
    /// `None` only during the drop.
    span: Option<TraceSpan>,
}

impl OpenSpan {
    fn position(&self) -> CurrentSpan {
        CurrentSpan {
            trace: Arc::clone(&self.trace),
            span: self.span.as_ref().map_or(0, |span| span.id),
        }
    }

    /// Sets the result. Without it, the span counts as dropped before its end.
    fn finish(&mut self, error: Option<String>) {
        if let Some(span) = &mut self.span {
            span.error = error;
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            self.trace.record(span);
        }
    }
}
