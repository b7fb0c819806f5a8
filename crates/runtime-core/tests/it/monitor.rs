//! Which calls of a monitor reach its sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use runtime_core::Monitor;
use runtime_core::monitor::{
    Counter, Histogram, IncidentReport, LogRecord, MonitorSink, MonitorTags, ValueRecorder,
};

/// A sink with a single counter and a single histogram for all metrics.
#[derive(Default)]
struct Sink {
    counter: Counter,
    measured: Arc<CountedValues>,
    lookups: Mutex<Vec<(String, &'static str)>>,
    lines: AtomicUsize,
    logs_to_tracing: bool,
}

#[derive(Default)]
struct CountedValues(AtomicUsize);

impl ValueRecorder for CountedValues {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Sink {
    fn add_lookup(&self, tags: &MonitorTags, name: &'static str) {
        self.lookups.lock().push((tags.prefix().to_owned(), name));
    }

    fn lookups(&self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut self.lookups.lock())
    }

    fn measured(&self) -> usize {
        self.measured.0.load(Ordering::Relaxed)
    }
}

impl MonitorSink for Sink {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        self.add_lookup(tags, name);
        self.counter.clone()
    }

    fn histogram(&self, tags: &MonitorTags, name: &'static str) -> Histogram {
        self.add_lookup(tags, name);
        Histogram::new(self.measured.clone())
    }

    fn log(&self, _: &MonitorTags, _: &LogRecord<'_>) {
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    fn logs_to_tracing(&self) -> bool {
        self.logs_to_tracing
    }

    fn report(&self, _: &MonitorTags, _: &IncidentReport<'_>) {}
}

fn pair(sink: Sink) -> (Monitor, Arc<Sink>) {
    let sink = Arc::new(sink);
    (Monitor::new(sink.clone()), sink)
}

#[test]
fn handles_are_looked_up_once_per_tags() {
    let (monitor, sink) = pair(Sink::default());
    let fetch = monitor.with_prefix("fetch");
    let expected = [("", "tasks"), ("fetch", "retries"), ("fetch", "failures")];
    let expected = expected.map(|(prefix, name)| (prefix.to_owned(), name));
    for _ in 0..3 {
        monitor.count("tasks", 1);
        fetch.count("retries", 2);
        fetch.clone().count("failures", 3);
    }
    assert_eq!(sink.lookups(), expected);
    assert_eq!(sink.counter.get(), 18);
    for _ in 0..3 {
        monitor.measure("tasks", 1.0);
        fetch.measure("retries", 2.0);
        fetch.clone().measure("failures", 3.0);
    }
    assert_eq!(sink.lookups(), expected);
    assert_eq!(sink.measured(), 9);
}

#[test]
fn full_cache_falls_back_to_lookups() {
    const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let (monitor, sink) = pair(Sink::default());
    for _ in 0..2 {
        NAMES.iter().for_each(|name| monitor.count(name, 1));
    }
    assert_eq!(sink.counter.get(), 20);
    let names: Vec<_> = sink.lookups().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, [&NAMES[..], &["8", "9"]].concat());
}

#[test]
fn concurrent_first_uses_lose_nothing() {
    let (monitor, sink) = pair(Sink::default());
    std::thread::scope(|threads| {
        for name in ["a", "b", "a", "b"] {
            let monitor = &monitor;
            threads.spawn(move || (0..1000).for_each(|_| monitor.count(name, 1)));
            threads.spawn(move || (0..1000).for_each(|_| monitor.measure(name, 1.0)));
        }
    });
    assert_eq!(sink.counter.get(), 4000);
    assert_eq!(sink.measured(), 4000);
}

#[test]
fn disabled_line_skips_a_tracing_sink() {
    let all = Sink::default();
    let tracing = Sink {
        logs_to_tracing: true,
        ..Sink::default()
    };
    // No subscriber is installed here, so no level is enabled.
    for (sink, lines) in [(all, 1), (tracing, 0)] {
        let (monitor, sink) = pair(sink);
        monitor.with_tag("a", "b").error("hello");
        assert_eq!(sink.lines.load(Ordering::Relaxed), lines);
    }
}
