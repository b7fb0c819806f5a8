//! The queue of traces for the next pushes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_core::monitor::{Counter, FinishedTrace, MonitorTags};
use runtime_ioext::log::Redactor;
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// The maximum number of waiting spans: with texts of the maximum length, about 30 MiB.
const MAX_WAITING_SPANS: usize = 10_000;

/// The number of spans that starts a push before the end of the interval, and the size of a request.
const BATCH_SPANS: usize = 2_000;

/// The maximum length of a text in a trace.
const MAX_TEXT_BYTES: usize = 1024;

/// The traces of tasks, from their end to their push. Clones share them.
///
/// [`LoggingMonitor::with_traces`](crate::LoggingMonitor::with_traces) fills it and [`push_to_otlp`](crate::push_to_otlp)
/// empties it. Up to 10 000 spans wait; those of further traces are dropped and counted as `monitoring.spans-dropped`.
#[derive(Clone)]
pub struct TraceQueue {
    shared: Arc<QueueState>,
}

struct QueueState {
    waiting: Mutex<Waiting>,
    dropped: Counter,
    batch_is_full: Notify,
}

#[derive(Default)]
struct Waiting {
    traces: VecDeque<FinishedTrace>,
    spans: usize,
}

impl TraceQueue {
    /// Creates an empty queue that counts dropped spans in `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            shared: Arc::new(QueueState {
                waiting: Mutex::default(),
                dropped: metrics.counter("monitoring.spans-dropped"),
                batch_is_full: Notify::new(),
            }),
        }
    }

    /// Adds a trace. The tags become attributes of its last span, that of the whole task.
    pub(crate) fn add(
        &self,
        tags: &MonitorTags,
        mut trace: FinishedTrace,
        redactor: Option<&Redactor>,
    ) {
        self.drop_spans(trace.dropped);
        if let Some(task) = trace.spans.last_mut() {
            let tags = tags.iter().collect::<Vec<_>>();
            let tags = tags.into_iter().rev();
            (task.attributes).extend(tags.map(|(name, value)| (name, value.to_owned())));
        }
        for span in &mut trace.spans {
            let attributes = span.attributes.iter_mut().map(|(_, value)| value);
            for text in attributes.chain(&mut span.error) {
                if let Some(redactor) = redactor {
                    *text = redactor.redact_str(text).into_owned();
                }
                text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
            }
        }
        self.put(trace, VecDeque::push_back);
    }

    /// Returns traces for one request, oldest first: one trace at least, and no more spans than a batch has.
    pub(crate) fn take_batch(&self) -> Vec<FinishedTrace> {
        let mut waiting = self.shared.waiting.lock();
        let (mut batch, mut spans) = (Vec::new(), 0);
        while let Some(trace) = waiting.traces.front() {
            spans += trace.spans.len();
            if spans > BATCH_SPANS && !batch.is_empty() {
                break;
            }
            waiting.spans -= trace.spans.len();
            batch.extend(waiting.traces.pop_front());
        }
        batch
    }

    /// Puts a batch back that could not be delivered, as far as there is room.
    pub(crate) fn put_back(&self, batch: Vec<FinishedTrace>) {
        // From the last to the first, since each is put at the front: the order stays.
        for trace in batch.into_iter().rev() {
            self.put(trace, VecDeque::push_front);
        }
    }

    /// Counts the spans of a batch that the collector has rejected.
    pub(crate) fn drop_batch(&self, batch: &[FinishedTrace]) {
        let spans = batch.iter().map(|trace| trace.spans.len() as u64);
        self.drop_spans(spans.sum());
    }

    /// Waits until a trace is added while a batch is full.
    pub(crate) async fn batch_is_full(&self) {
        self.shared.batch_is_full.notified().await;
    }

    fn put(
        &self,
        trace: FinishedTrace,
        put: impl FnOnce(&mut VecDeque<FinishedTrace>, FinishedTrace),
    ) {
        let spans = trace.spans.len();
        let waiting = {
            let mut waiting = self.shared.waiting.lock();
            if waiting.spans + spans > MAX_WAITING_SPANS {
                drop(waiting);
                return self.drop_spans(spans as u64);
            }
            waiting.spans += spans;
            put(&mut waiting.traces, trace);
            waiting.spans
        };
        if waiting >= BATCH_SPANS {
            self.shared.batch_is_full.notify_one();
        }
    }

    fn drop_spans(&self, number: u64) {
        self.shared.dropped.add(number);
    }
}

impl fmt::Debug for TraceQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceQueue").finish_non_exhaustive()
    }
}
