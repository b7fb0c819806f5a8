//! Which calls of a monitor reach its sink.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use runtime_core::Monitor;
use runtime_core::monitor::{
    Counter, Histogram, IncidentReport, LogRecord, MonitorSink, MonitorTags, ValueRecorder,
    intern_name,
};

/// A sink with a counter for each name, and a single histogram for all metrics.
#[derive(Default)]
pub(crate) struct Sink {
    counters: Mutex<HashMap<&'static str, Counter>>,
    measured: Arc<RecordedValues>,
    lookups: Mutex<Vec<(String, &'static str)>>,
    lines: AtomicUsize,
    pub(crate) reports: Mutex<Vec<String>>,
    logs_to_tracing: bool,
}

#[derive(Default)]
struct RecordedValues(Mutex<Vec<f64>>);

impl ValueRecorder for RecordedValues {
    fn record(&self, value: f64) {
        self.0.lock().push(value);
    }
}

impl Sink {
    fn add_lookup(&self, tags: &MonitorTags, name: &'static str) {
        self.lookups.lock().push((tags.prefix().to_owned(), name));
    }

    fn lookups(&self) -> Vec<(String, &'static str)> {
        std::mem::take(&mut self.lookups.lock())
    }

    fn value(&self, name: &'static str) -> Counter {
        self.counters.lock().entry(name).or_default().clone()
    }

    fn total(&self) -> u64 {
        self.counters.lock().values().map(Counter::get).sum()
    }

    fn measured(&self) -> Vec<f64> {
        self.measured.0.lock().clone()
    }
}

impl MonitorSink for Sink {
    fn counter(&self, tags: &MonitorTags, name: &'static str) -> Counter {
        self.add_lookup(tags, name);
        self.value(name)
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

    fn report(&self, _: &MonitorTags, report: &IncidentReport<'_>) {
        self.reports.lock().push(format!("{report:?}"));
    }
}

pub(crate) fn pair(sink: Sink) -> (Monitor, Arc<Sink>) {
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
    assert_eq!(sink.total(), 18);
    for _ in 0..3 {
        monitor.measure("tasks", 1.0);
        fetch.measure("retries", 2.0);
        fetch.clone().measure("failures", 3.0);
    }
    assert_eq!(sink.lookups(), expected);
    assert_eq!(sink.measured().len(), 9);
}

fn names(count: usize) -> Vec<&'static str> {
    (0..count).map(|n| &*n.to_string().leak()).collect()
}

#[test]
fn dozens_of_names_are_looked_up_once() {
    let (monitor, sink) = pair(Sink::default());
    let names = names(64);
    for _ in 0..2 {
        names.iter().for_each(|name| monitor.count(name, 1));
    }
    assert_eq!(sink.total(), 128);
    let looked_up: Vec<_> = sink.lookups().into_iter().map(|(_, name)| name).collect();
    assert_eq!(looked_up, names);
}

#[test]
fn full_cache_falls_back_to_lookups() {
    let (monitor, sink) = pair(Sink::default());
    let names = names(1000);
    for _ in 0..2 {
        names.iter().for_each(|name| monitor.count(name, 1));
    }
    assert_eq!(sink.total(), 2000);
    assert!(sink.lookups().len() > 1000);
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
    assert_eq!(sink.total(), 4000);
    assert_eq!(sink.measured().len(), 4000);
}

#[test]
fn concurrent_growth_finds_the_handle_of_each_name() {
    let (monitor, sink) = pair(Sink::default());
    let names = names(100);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            let count = || names.iter().for_each(|name| monitor.count(name, 1));
            threads.spawn(move || (0..50).for_each(|_| count()));
        }
    });
    for name in &names {
        assert_eq!(sink.value(name).get(), 200, "{name}");
    }
    // A handle that was lost in a larger table was added again.
    names.iter().for_each(|name| monitor.count(name, 1));
    sink.lookups();
    names.iter().for_each(|name| monitor.count(name, 1));
    assert_eq!(sink.lookups(), []);
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

#[test]
fn fractions_add_to_the_same_counter() {
    let (monitor, sink) = pair(Sink::default());
    monitor.count("cost", 3);
    monitor.count_f64("cost", 0.25);
    monitor.count_f64("cost", 0.5);
    assert_eq!(
        (sink.value("cost").get_f64(), sink.value("cost").get()),
        (3.75, 3)
    );
    monitor.count_f64("cost", 0.5);
    assert_eq!(
        (sink.value("cost").get_f64(), sink.value("cost").get()),
        (4.25, 4)
    );
}

#[test]
fn counters_never_shrink() {
    let (monitor, sink) = pair(Sink::default());
    monitor.count_f64("cost", 1.5);
    for ignored in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0] {
        monitor.count_f64("cost", ignored);
        assert_eq!(sink.value("cost").get_f64(), 1.5, "{ignored}");
    }
    monitor.count_f64("cost", f64::MAX);
    monitor.count_f64("cost", f64::MAX);
    assert_eq!(sink.value("cost").get_f64(), f64::MAX);
}

#[test]
fn whole_counts_are_exact() {
    let (monitor, sink) = pair(Sink::default());
    monitor.count("bytes", 1 << 53);
    monitor.count("bytes", 1);
    assert_eq!(sink.value("bytes").get(), (1 << 53) + 1);
}

/// Counts once on each of `threads` threads that run at the same time.
fn count_on_threads(monitor: &Monitor, threads: usize) {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                monitor.count("events", 1);
                barrier.wait();
                monitor.count("events", 1);
            });
        }
    });
}

#[test]
fn counts_of_many_threads_are_exact() {
    let (monitor, sink) = pair(Sink::default());
    count_on_threads(&monitor, 64);
    assert_eq!(sink.value("events").get(), 128);
}

#[test]
fn counts_of_ended_threads_are_kept() {
    let (monitor, sink) = pair(Sink::default());
    for round in 1..=100 {
        count_on_threads(&monitor, 2);
        assert_eq!(sink.value("events").get(), 4 * round);
    }
}

#[test]
fn counts_in_thread_destructors_are_kept() {
    /// Counts when its thread ends.
    struct CountOnDrop(Monitor);
    impl Drop for CountOnDrop {
        fn drop(&mut self) {
            self.0.count("ended", 1);
        }
    }
    thread_local!(static LAST: RefCell<Option<CountOnDrop>> = const { RefCell::new(None) });

    let (monitor, sink) = pair(Sink::default());
    let ended = thread::spawn({
        let monitor = monitor.clone();
        move || {
            // Before the first count, so that its destructor runs after the one of the counters.
            LAST.set(Some(CountOnDrop(monitor.clone())));
            monitor.count("ended", 1);
        }
    });
    ended.join().expect("no panic");
    assert_eq!(sink.value("ended").get(), 2);
}

#[test]
fn several_values_are_one_lookup() {
    let (monitor, sink) = pair(Sink::default());
    monitor.measure_all("size", [1.0, 2.5]);
    monitor.measure_all("size", vec![3.0]);
    monitor.measure_all("size", []);
    assert_eq!(sink.measured(), [1.0, 2.5, 3.0]);
    assert_eq!(sink.lookups().len(), 1);
}

#[test]
fn time_records_the_seconds_of_the_work() {
    const LONG_ENOUGH: Duration = Duration::from_millis(1);
    let (monitor, sink) = pair(Sink::default());
    let start = Instant::now();
    let result = monitor.time("work", || {
        let start = Instant::now();
        while start.elapsed() < LONG_ENOUGH {
            std::hint::spin_loop();
        }
        "result"
    });
    let total = start.elapsed();
    assert_eq!(result, "result");
    let [seconds] = sink.measured()[..] else {
        panic!("expected one value, not {:?}", sink.measured());
    };
    assert!((LONG_ENOUGH.as_secs_f64()..=total.as_secs_f64()).contains(&seconds));
}

#[tokio::test(start_paused = true)]
async fn time_async_records_the_seconds_of_the_work() {
    let (monitor, sink) = pair(Sink::default());
    let work = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        "result"
    };
    assert_eq!(monitor.time_async("work", work).await, "result");
    assert_eq!(sink.measured(), [2.5]);
}

#[tokio::test(start_paused = true)]
async fn dropped_work_is_not_timed() {
    let (monitor, sink) = pair(Sink::default());
    let work = monitor.time_async("work", std::future::pending::<()>());
    let timeout = tokio::time::timeout(Duration::from_secs(1), work).await;
    assert!(timeout.is_err());
    assert!(sink.measured().is_empty());
}

#[test]
fn panic_reports_the_error_first() {
    let (monitor, sink) = pair(Sink::default());
    let error = std::io::Error::other("the secret");
    let panic = catch_unwind(AssertUnwindSafe(|| monitor.panic(&error, "a broken table")));
    let panic = panic.expect_err("it always panics");
    let message = panic.downcast::<String>().expect("a message");
    let reports = sink.reports.lock();
    let [report] = &reports[..] else {
        panic!("expected one report, not {reports:?}");
    };
    let (incident, rest) = report
        .strip_prefix("Error ")
        .and_then(|rest| rest.split_once(' '))
        .expect("an error");
    assert_eq!(rest, "a broken table: the secret");
    assert_eq!(*message, format!("a broken table (incident {incident})"));
}

/// One test, because the names of all tests of this process are in one table.
#[test]
fn run_time_names_are_bounded() {
    let (monitor, sink) = pair(Sink::default());
    let first = intern_name(&String::from("fetch"));
    let prefixed = monitor.with_prefix(first);
    for _ in 0..3 {
        prefixed.count(intern_name(&String::from("retries")), 1);
    }
    assert_eq!(sink.lookups(), [("fetch".to_owned(), "retries")]);
    for n in 0..2000 {
        let _ = intern_name(&format!("name-{n}"));
    }
    assert_eq!(intern_name("name-0"), "name-0");
    assert_eq!(intern_name("name-1999"), "other");
    assert_eq!(intern_name("fetch"), "fetch");
}
