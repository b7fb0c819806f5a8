//! What a monitor asks its sink, and how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use runtime_core::Monitor;
use runtime_core::monitor::{Counter, MonitorSink, MonitorTags, Record, Report};

/// Has one counter for everything.
#[derive(Default)]
struct Sink {
    counter: Counter,
    asked: Mutex<Vec<(String, &'static str)>>,
    lines: AtomicUsize,
    logs_to_tracing: bool,
}

impl MonitorSink for Sink {
    fn counter(&self, scope: &MonitorTags, name: &'static str) -> Counter {
        self.asked.lock().push((scope.prefix().to_owned(), name));
        self.counter.clone()
    }

    fn measure(&self, _: &MonitorTags, _: &'static str, _: f64) {}

    fn log(&self, _: &MonitorTags, _: &Record<'_>) {
        self.lines.fetch_add(1, Ordering::Relaxed);
    }

    fn logs_to_tracing(&self) -> bool {
        self.logs_to_tracing
    }

    fn report(&self, _: &MonitorTags, _: &Report<'_>) {}
}

fn pair(sink: Sink) -> (Monitor, Arc<Sink>) {
    let sink = Arc::new(sink);
    (Monitor::new(sink.clone()), sink)
}

#[test]
fn a_sink_is_asked_for_a_counter_once_in_each_scope() {
    let (monitor, sink) = pair(Sink::default());
    let fetch = monitor.with_prefix("fetch");
    for _ in 0..3 {
        monitor.count("tasks", 1);
        fetch.count("retries", 2);
        fetch.clone().count("failures", 3);
    }
    let asked = [("", "tasks"), ("fetch", "retries"), ("fetch", "failures")];
    let asked = asked.map(|(prefix, name)| (prefix.to_owned(), name));
    assert_eq!(*sink.asked.lock(), asked);
    assert_eq!(sink.counter.get(), 18);
}

#[test]
fn more_counters_than_a_scope_keeps_are_asked_for_again_and_count_as_well() {
    const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let (monitor, sink) = pair(Sink::default());
    for _ in 0..2 {
        NAMES.iter().for_each(|name| monitor.count(name, 1));
    }
    assert_eq!(sink.counter.get(), 20);
    let asked: Vec<_> = sink.asked.lock().iter().map(|(_, name)| *name).collect();
    assert_eq!(asked, [&NAMES[..], &["8", "9"]].concat());
}

#[test]
fn threads_that_count_first_at_the_same_time_lose_nothing() {
    let (monitor, sink) = pair(Sink::default());
    std::thread::scope(|threads| {
        for name in ["a", "b", "a", "b"] {
            let monitor = &monitor;
            threads.spawn(move || (0..1000).for_each(|_| monitor.count(name, 1)));
        }
    });
    assert_eq!(sink.counter.get(), 4000);
}

#[test]
fn a_line_that_no_subscriber_wants_does_not_reach_a_sink_of_tracing() {
    let all = Sink::default();
    let tracing = Sink {
        logs_to_tracing: true,
        ..Sink::default()
    };
    // No subscriber is installed here, so nothing is enabled.
    for (sink, heard) in [(all, 1), (tracing, 0)] {
        let (monitor, sink) = pair(sink);
        monitor.with_tag("a", "b").error("hello");
        assert_eq!(sink.lines.load(Ordering::Relaxed), heard);
    }
}
