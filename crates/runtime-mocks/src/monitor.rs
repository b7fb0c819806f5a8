//! A monitor that remembers everything it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use runtime_core::monitor::{
    Counter, Histogram, IncidentId, IncidentReport, Level, LogRecord, MonitorSink, MonitorTags,
    Severity, Span, ValueRecorder,
};
use runtime_core::{Monitor, error_chain};

/// The handle of a mock monitor: what the monitor and its children were told.
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
    sink: Arc<Recorder>,
}

/// A line that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// How bad it is.
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

/// An incident that was reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReportedIncident {
    /// How bad it is.
    pub severity: Severity,
    /// Its name.
    pub incident: IncidentId,
    /// What was being done.
    pub context: String,
    /// The error with all its causes.
    pub error: String,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
}

/// Work that ran in a span of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSpan {
    /// What the work is called.
    pub name: String,
    /// The prefix of the monitor.
    pub prefix: String,
    /// The tags of the monitor, by name.
    pub tags: BTreeMap<String, String>,
}

impl MockMonitor {
    /// Makes a monitor, and the handle that tells what it was told.
    #[must_use]
    pub fn new() -> (Monitor, Self) {
        Self::pair(false)
    }

    /// Makes a monitor that panics when an error is reported or logged, so that the test fails there.
    #[must_use]
    pub fn panicking() -> (Monitor, Self) {
        Self::pair(true)
    }

    fn pair(panics: bool) -> (Monitor, Self) {
        let sink = Arc::new(Recorder {
            panics,
            told: Mutex::default(),
        });
        (Monitor::new(sink.clone()), Self { sink })
    }

    /// The sum of a counter; the name starts with the prefix, as in `fetch.retries`.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.sink
            .told
            .lock()
            .counters
            .get(name)
            .map_or(0, Counter::get)
    }

    /// Tells whether a counter was ever counted.
    #[must_use]
    pub fn has_counter(&self, name: &str) -> bool {
        self.sink.told.lock().counters.contains_key(name)
    }

    /// The values of a measure, in order; the name starts with the prefix.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.sink
            .told
            .lock()
            .measures
            .get(name)
            .map(|values| values.0.lock().clone())
            .unwrap_or_default()
    }

    /// Tells whether a measure was ever taken.
    #[must_use]
    pub fn has_measure(&self, name: &str) -> bool {
        self.sink.told.lock().measures.contains_key(name)
    }

    /// The latest value of a gauge; the name starts with the prefix.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.sink.told.lock().gauges.get(name).copied()
    }

    /// The lines that were logged, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        self.sink.told.lock().lines.clone()
    }

    /// Tells whether a line was logged whose message contains the text.
    #[must_use]
    pub fn has_line(&self, part: &str) -> bool {
        let told = self.sink.told.lock();
        told.lines.iter().any(|line| line.message.contains(part))
    }

    /// The incidents that were reported, in order.
    #[must_use]
    pub fn reports(&self) -> Vec<ReportedIncident> {
        self.sink.told.lock().reports.clone()
    }

    /// The spans in which work ran, in the order of their beginning.
    #[must_use]
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.sink.told.lock().spans.clone()
    }
}

#[derive(Debug)]
struct Recorder {
    panics: bool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    counters: BTreeMap<String, Counter>,
    measures: BTreeMap<String, Arc<RecordedValues>>,
    gauges: BTreeMap<String, f64>,
    lines: Vec<LogLine>,
    reports: Vec<ReportedIncident>,
    spans: Vec<RecordedSpan>,
}

/// The values of a measure, in the order in which they were recorded.
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

/// The tags by name; of a name that was given twice, the innermost.
fn tag_map(tags: &MonitorTags) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (name, value) in tags.iter() {
        map.entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    map
}

impl Recorder {
    fn fail(&self, told: &dyn fmt::Display) {
        assert!(!self.panics, "the monitor was told of an error: {told}");
    }
}

impl MonitorSink for Recorder {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        let mut told = self.told.lock();
        let counter = told.counters.entry(full_name(tags, name)).or_default();
        counter.clone()
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        let mut told = self.told.lock();
        let values = told.measures.entry(full_name(tags, name)).or_default();
        Histogram::new(values.clone())
    }

    fn set_gauge(&self, tags: &MonitorTags, name: &'static str, value: f64) {
        self.told.lock().gauges.insert(full_name(tags, name), value);
    }

    fn log(&self, tags: &MonitorTags, record: &LogRecord<'_>) {
        // Formatting runs code of others: never under the lock.
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
        self.told.lock().lines.push(line);
        if record.level == Level::ERROR {
            self.fail(record.message);
        }
    }

    fn span(&self, tags: &MonitorTags, name: &'static str) -> Span {
        self.told.lock().spans.push(RecordedSpan {
            name: name.to_owned(),
            prefix: tags.prefix().to_owned(),
            tags: tag_map(tags),
        });
        Span::none()
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
        let told = format!("{}: {}", reported.context, reported.error);
        self.told.lock().reports.push(reported);
        if report.severity == Severity::Error {
            self.fail(&told);
        }
    }
}
