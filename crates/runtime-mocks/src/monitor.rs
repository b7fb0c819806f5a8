//! A monitor that records everything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_core::monitor::{
    Counter, FinishedTrace, Histogram, IncidentId, IncidentReport, Level, LogRecord, MonitorSink,
    MonitorTags, Severity, Span, ValueRecorder,
};
use runtime_core::{Monitor, error_chain};

/// The handle of a mock monitor, with all data that the monitor and its children have recorded.
///
/// ```
/// use runtime_mocks::MockMonitor;
///
/// let (monitor, mock) = MockMonitor::new();
/// monitor.with_prefix("fetch").count("retries", 2);
/// assert_eq!(mock.counter("fetch.retries"), 2);
/// assert!(!mock.has_counter("fetch.failures"));
/// ```
#[derive(Clone, Debug)]
pub struct MockMonitor {
    sink: Arc<RecordingSink>,
}

/// A logged line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// The level.
    pub level: Level,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
    /// The message.
    pub message: String,
    /// The fields of this line, as text.
    pub fields: BTreeMap<String, String>,
}

/// A reported incident.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReportedIncident {
    /// The severity.
    pub severity: Severity,
    /// The id of the incident.
    pub incident: IncidentId,
    /// The operation that failed.
    pub context: String,
    /// The error with its chain of causes.
    pub error: String,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
}

/// A span that was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSpan {
    /// The name of the span.
    pub name: String,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
}

impl MockMonitor {
    /// Creates a monitor and its handle.
    #[must_use]
    pub fn new() -> (Monitor, Self) {
        Self::pair(false)
    }

    /// Creates a monitor that panics when an error is logged or reported, so that the test fails there.
    #[must_use]
    pub fn panicking() -> (Monitor, Self) {
        Self::pair(true)
    }

    fn pair(panics: bool) -> (Monitor, Self) {
        let sink = Arc::new(RecordingSink {
            panics,
            records: Mutex::default(),
        });
        (Monitor::new(sink.clone()), Self { sink })
    }

    /// Returns the value of a counter, rounded down. The name starts with the prefix, as in `fetch.retries`.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        let records = self.sink.records.lock();
        records.counters.get(name).map_or(0, Counter::get)
    }

    /// Returns the value of a counter with its fraction, as counted by [`Monitor::count_f64`].
    #[must_use]
    pub fn counter_f64(&self, name: &str) -> f64 {
        let records = self.sink.records.lock();
        records.counters.get(name).map_or(0.0, Counter::get_f64)
    }

    /// Returns whether a counter was used, even if only 0 was added.
    #[must_use]
    pub fn has_counter(&self, name: &str) -> bool {
        self.sink.records.lock().counters.contains_key(name)
    }

    /// Returns the values of a distribution, oldest first. The name starts with the prefix.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.sink
            .records
            .lock()
            .measures
            .get(name)
            .map(|values| values.0.lock().clone())
            .unwrap_or_default()
    }

    /// Returns whether a value of a distribution was recorded.
    #[must_use]
    pub fn has_measure(&self, name: &str) -> bool {
        self.sink.records.lock().measures.contains_key(name)
    }

    /// Returns the last value of a gauge. The name starts with the prefix.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.sink.records.lock().gauges.get(name).copied()
    }

    /// Returns the logged lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        self.sink.records.lock().lines.clone()
    }

    /// Returns whether the message of a logged line contains the text.
    #[must_use]
    pub fn has_line(&self, part: &str) -> bool {
        let records = self.sink.records.lock();
        records.lines.iter().any(|line| line.message.contains(part))
    }

    /// Returns the reported incidents, oldest first.
    #[must_use]
    pub fn reports(&self) -> Vec<ReportedIncident> {
        self.sink.records.lock().reports.clone()
    }

    /// Returns the spans in the order in which they were entered.
    #[must_use]
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.sink.records.lock().spans.clone()
    }

    /// Returns the traces of the tasks that have ended, oldest first.
    #[must_use]
    pub fn traces(&self) -> Vec<FinishedTrace> {
        self.sink.records.lock().traces.clone()
    }
}

#[derive(Debug)]
struct RecordingSink {
    panics: bool,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    counters: BTreeMap<String, Counter>,
    measures: BTreeMap<String, Arc<RecordedValues>>,
    gauges: BTreeMap<String, f64>,
    lines: Vec<LogLine>,
    reports: Vec<ReportedIncident>,
    spans: Vec<RecordedSpan>,
    traces: Vec<FinishedTrace>,
}

/// The values of a distribution, in the order in which they were recorded.
#[derive(Debug, Default)]
struct RecordedValues(Mutex<Vec<f64>>);

impl ValueRecorder for RecordedValues {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

fn full_name(tags: &MonitorTags, name: &str) -> String {
    match tags.prefix() {
        "" => name.to_owned(),
        prefix => format!("{prefix}.{name}"),
    }
}

/// Returns the tags by name. A repeated name has the innermost value.
fn tag_map(tags: &MonitorTags) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (name, value) in tags.iter() {
        map.entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    map
}

impl RecordingSink {
    fn on_error(&self, error: &dyn fmt::Display) {
        assert!(!self.panics, "unexpected error in the monitor: {error}");
    }
}

impl MonitorSink for RecordingSink {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        let mut records = self.records.lock();
        let counter = records.counters.entry(full_name(tags, name)).or_default();
        counter.clone()
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        let mut records = self.records.lock();
        let values = records.measures.entry(full_name(tags, name)).or_default();
        Histogram::new(values.clone())
    }

    fn set_gauge(&self, tags: &MonitorTags, name: &'static str, value: f64) {
        self.records
            .lock()
            .gauges
            .insert(full_name(tags, name), value);
    }

    fn log(&self, tags: &MonitorTags, record: &LogRecord<'_>) {
        // Formatting runs code under test, which may log itself: not under the lock.
        let fields = record.fields.iter();
        let line = LogLine {
            level: record.level,
            prefix: tags.prefix().to_owned(),
            tags: tag_map(tags),
            message: record.message.to_string(),
            fields: fields
                .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                .collect(),
        };
        self.records.lock().lines.push(line);
        if record.level == Level::ERROR {
            self.on_error(record.message);
        }
    }

    fn span(&self, tags: &MonitorTags, name: &'static str) -> Span {
        self.records.lock().spans.push(RecordedSpan {
            name: name.to_owned(),
            prefix: tags.prefix().to_owned(),
            tags: tag_map(tags),
        });
        Span::none()
    }

    fn records_traces(&self) -> bool {
        true
    }

    fn record_trace(&self, _: &MonitorTags, trace: FinishedTrace) {
        self.records.lock().traces.push(trace);
    }

    fn report(&self, tags: &MonitorTags, report: &IncidentReport<'_>) {
        let reported = ReportedIncident {
            severity: report.severity,
            incident: report.incident,
            context: report.context.to_string(),
            error: error_chain(report.error),
            prefix: tags.prefix().to_owned(),
            tags: tag_map(tags),
        };
        let error = format!("{}: {}", reported.context, reported.error);
        self.records.lock().reports.push(reported);
        if report.severity == Severity::Error {
            self.on_error(&error);
        }
    }
}
