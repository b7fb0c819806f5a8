//! The cost of logs, metrics and error reports for the caller.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bench_harness::{AtLeast, AtMost, Bench, rate};
use runtime_core::monitor::traced;
use runtime_core::{Monitor, Timestamp};
use runtime_mocks::TestTask;
use runtime_monitoring::{
    Delivery, Incident, IncidentQueue, IncidentTransport, LineFormat, LogBuilder, LogConfig,
    LogLevel, LoggingMonitor, Metrics, MonitoringConfig, Reporters, TraceQueue, from_config,
};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

fn main() -> ExitCode {
    Bench::main("monitor", |bench| {
        counter(bench);
        names(bench);
        threads(bench);
        disabled_level(bench);
        info_as_json(bench);
        child(bench);
        measure(bench);
        steps(bench);
        reports(bench);
    })
}

/// Returns a monitor with a prefix and four tags.
fn nested(monitor: &Monitor) -> Monitor {
    monitor.with_prefix("fetch").with_tags([
        ("workerId", "i-0123"),
        ("region", "eu"),
        ("taskId", "RmzTkg-8Qj614ea9fI9Jmg"),
        ("runId", "0"),
    ])
}

/// Returns the nanoseconds per call, averaged over `count` calls.
fn ns_each(count: u64, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        call();
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

fn counter(bench: &mut Bench) {
    let count = bench.pick(20_000_000, 2_000_000);
    let metrics = Metrics::new();
    let monitor = LoggingMonitor::new().with_metrics(metrics.clone());
    let monitor = nested(&monitor.into_monitor());
    // The cheapest handle of the facade: a reference-counted atomic, as exporters implement it.
    let peer = metrics::Counter::from_arc(Arc::new(AtomicU64::new(0)));
    bench
        .case("counter with a prefix and 4 tags", "ns")
        .bar(AtMost(2.0))
        .peer("cached handle of `metrics`", || {
            ns_each(count, || black_box(&peer).increment(1))
        })
        .ours(|| ns_each(count, || black_box(&monitor).count("retries", 1)));
    assert!(metrics.snapshot().counter("fetch.retries") >= count || bench.quick());
}

/// Counts with a growing number of names in one set of tags.
fn names(bench: &mut Bench) {
    // Short rounds, most of which are not interrupted by other processes.
    let (count, rounds) = (12_800, bench.pick(201, 101));
    for number in [1, 8, 16, 64] {
        let monitor = nested(&LoggingMonitor::new().into_monitor());
        let names: Vec<&'static str> = (0..number).map(|n| &*format!("name-{n}").leak()).collect();
        let case = format!("counter among {number} names");
        let case = bench.case(&case, "ns").bar(AtMost(5.0)).rounds(rounds);
        case.ours(|| {
            let round = || {
                names
                    .iter()
                    .for_each(|name| black_box(&monitor).count(name, 1))
            };
            ns_each(count / number, round) / number as f64
        });
    }
}

/// Returns the total counts per second of several threads.
fn counts_of_threads(count: u64, call: impl Fn() + Sync) -> f64 {
    const THREADS: u64 = 8;
    let on_each = || (0..count).for_each(|_| call());
    rate(THREADS * count, || {
        thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(on_each))));
    })
}

fn threads(bench: &mut Bench) {
    let (count, rounds) = (100_000, bench.pick(51, 21));
    let monitor = nested(&LoggingMonitor::new().into_monitor());
    let peer = metrics::Counter::from_arc(Arc::new(AtomicU64::new(0)));
    bench
        .case("8 threads on one counter", "counts/s")
        .bar(AtLeast(1.0))
        .rounds(rounds)
        .peer("cached handle of `metrics`", || {
            counts_of_threads(count, || black_box(&peer).increment(1))
        })
        .ours(|| counts_of_threads(count, || black_box(&monitor).count("retries", 1)));
}

fn disabled_level(bench: &mut Bench) {
    let count = bench.pick(50_000_000, 5_000_000);
    let config = LogConfig {
        level: LogLevel::Info,
        ..LogConfig::default()
    };
    let builder = LogBuilder::new(config).writer(LineFormat::Json, std::io::sink());
    let (dispatch, _log) = builder.build().expect("a thread");
    let monitor = nested(&LoggingMonitor::new().into_monitor());
    with_default(&dispatch, || {
        let empty = || ns_each(count, || empty_call(black_box(&monitor)));
        bench
            .case("a line below the level, minus an empty call", "ns")
            .bar(AtMost(2.0))
            .ours(|| {
                let ours = ns_each(count, || black_box(&monitor).debug("disabled"));
                (ours - empty()).max(0.0)
            });
    });
}

#[inline(never)]
fn empty_call(monitor: &Monitor) {
    black_box(monitor);
}

fn null() -> File {
    let null = OpenOptions::new().write(true).open("/dev/null");
    null.expect("/dev/null exists")
}

/// Returns a subscriber that writes the JSON of `tracing-subscriber` directly to /dev/null.
fn plain_json() -> Dispatch {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(std::sync::Mutex::new(null()))
        .finish();
    Dispatch::new(subscriber)
}

fn info_as_json(bench: &mut Bench) {
    let count = bench.pick(500_000, 50_000);
    if !cfg!(unix) {
        return bench.skip("info line as JSON", "no /dev/null");
    }
    let builder = LogBuilder::new(LogConfig::default()).writer(LineFormat::Json, null());
    let (ours, log) = builder.build().expect("a thread");
    let peer = plain_json();
    let monitor = nested(&LoggingMonitor::new().into_monitor());
    bench
        .case("info line as JSON", "ns")
        .bar(AtMost(1.2))
        .peer("tracing-subscriber's JSON", || {
            with_default(&peer, || {
                ns_each(count, || {
                    tracing::info!(
                        target: "worker",
                        prefix = "fetch",
                        worker_id = "i-0123",
                        region = "eu",
                        task_id = "RmzTkg-8Qj614ea9fI9Jmg",
                        run_id = "0",
                        "fetched {} bytes", black_box(4096)
                    );
                })
            })
        })
        .ours(|| {
            with_default(&ours, || {
                let start = Instant::now();
                for _ in 0..count {
                    monitor.info(format_args!("fetched {} bytes", black_box(4096)));
                }
                // The peer writes synchronously, so the measurement includes writing our lines.
                log.flush();
                start.elapsed().as_nanos() as f64 / count as f64
            })
        });
    let redacting = from_config(&MonitoringConfig::default());
    redacting
        .redactor
        .add("the access token")
        .expect("long enough");
    let redacting = nested(&redacting.monitor);
    bench
        .case("info line as JSON, with a redactor", "ns")
        .ours(|| {
            with_default(&ours, || {
                let line = || redacting.info(format_args!("fetched {} bytes", black_box(4096)));
                let ns = ns_each(count, line);
                log.flush();
                ns
            })
        });
    bench
        .case("share of info lines written", "ratio")
        .bar(AtLeast(1.0))
        .ours(|| if log.dropped() == 0 { 1.0 } else { 0.0 });
}

fn child(bench: &mut Bench) {
    let count = bench.pick(5_000_000, 500_000);
    let monitor = nested(&LoggingMonitor::new().into_monitor());
    bench
        .case("create a child with a tag", "ns")
        .bar(AtMost(150.0))
        .ours(|| ns_each(count, || drop(black_box(monitor.with_tag("try", "1")))));
}

fn measure(bench: &mut Bench) {
    let count = bench.pick(5_000_000, 500_000);
    let monitor = nested(&LoggingMonitor::new().into_monitor());
    let mut value = 0.0;
    bench
        .case("measure with a prefix and 4 tags", "ns")
        .ours(|| {
            ns_each(count, || {
                value += 0.001;
                black_box(&monitor).measure("seconds", value);
            })
        });
}

/// The steps of a task, as the trace of the task records them.
fn steps(bench: &mut Bench) {
    let count = bench.pick(2_000_000, 200_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let task = TestTask::new(serde_json::json!({}));
    // The bars are two to four times the measured figures, of 5 ns for a read of a task-local variable and of 200 ns for two
    // clock readings and a span. So the twenty steps of a task stay below 1 % of the time of the shortest task, a millisecond.
    // The second count is below the limit of spans of a task.
    for (case, monitor, count, bar) in [
        (
            "step of a task without traces",
            LoggingMonitor::new().into_monitor(),
            count,
            20.0,
        ),
        ("step of a task", recording_monitor(), 900, 500.0),
    ] {
        bench.case(case, "ns").bar(AtMost(bar)).ours(|| {
            let work = async {
                let start = Instant::now();
                for _ in 0..count {
                    let step = async { Ok::<_, std::io::Error>(black_box(0_u8)) };
                    traced("step", Vec::new, step)
                        .await
                        .expect("it does nothing");
                }
                start.elapsed().as_nanos() as f64 / count as f64
            };
            let since = Timestamp::now();
            runtime.block_on(monitor.trace_task(
                (task.context().run(), task.context().redactor()),
                since,
                work,
                |_| None,
            ))
        });
    }
}

fn recording_monitor() -> Monitor {
    let metrics = Metrics::new();
    let traces = TraceQueue::new(&metrics);
    LoggingMonitor::new().with_traces(traces).into_monitor()
}

/// A service that cannot be reached.
struct Unreachable;

#[async_trait]
impl IncidentTransport for Unreachable {
    async fn deliver(&mut self, _: &Incident) -> Delivery {
        Delivery::RetryAfter(Duration::ZERO)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot upload the log")]
struct Failure(#[source] std::io::Error);

const QUEUE_CAPACITY: usize = 1000;

/// Reports per second of one caller. The queue is full after the first thousand.
fn reports(bench: &mut Bench) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let queue = IncidentQueue::start(QUEUE_CAPACITY, Unreachable);
    let reporters = Reporters::default();
    reporters.add(queue.reporter());
    let monitor = LoggingMonitor::new().with_reporters(reporters);
    let monitor = nested(&monitor.into_monitor());
    let error = Failure(std::io::Error::other("connection reset"));
    let count = 100_000_u64;
    let mut reported = 0;
    bench
        .case("error reports to an unreachable service", "reports/s")
        .bar(AtLeast(100_000.0))
        .ours(|| {
            let ns = ns_each(count, || {
                monitor.report_error(&error, "the task ended");
            });
            reported += count;
            1e9 / ns
        });
    let counts = queue.counts();
    bench
        .case("queued reports", "reports")
        .bar(AtMost(QUEUE_CAPACITY as f64))
        .ours(|| counts.waiting as f64);
    bench
        .case("reports neither queued nor counted as dropped", "reports")
        .bar(AtMost(0.0))
        .ours(|| (reported - counts.waiting - counts.dropped - counts.delivered) as f64);
}
