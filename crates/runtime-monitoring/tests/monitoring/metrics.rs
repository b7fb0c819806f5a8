//! The in-memory store of metrics.

use runtime_core::Monitor;
use runtime_monitoring::{CATALOG, CounterValue, LoggingMonitor, Metrics, Unit};

fn monitor(metrics: &Metrics) -> Monitor {
    LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .into_monitor()
}

#[test]
fn counters_sum_over_tags_and_clones() {
    let metrics = Metrics::new();
    let root = monitor(&metrics);
    for task in ["a", "b"] {
        let fetch = root
            .with_tag("taskId", task.to_owned())
            .with_prefix("fetch");
        fetch.count("retries", 1);
        fetch.clone().count("retries", 2);
    }
    root.count("retries", 10);
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.counter("fetch.retries"), 6);
    assert_eq!(snapshot.counter("retries"), 10);
    assert_eq!(snapshot.counter("unknown"), 0);
    assert_eq!(snapshot.counters.len(), 2);
}

#[test]
fn prefixes_at_the_same_address_are_distinct() {
    let metrics = Metrics::new();
    let root = monitor(&metrics);
    // Each child is dropped before the next, so the allocator may place their prefixes at the same address.
    for _ in 0..1_000 {
        for prefix in ["aaaa", "bbbb", "cccc"] {
            let child = root.with_prefix("all").with_prefix(prefix);
            child.count("n", 1);
            child.measure("m", 1.0);
        }
    }
    let snapshot = metrics.snapshot();
    for name in ["all.aaaa.n", "all.bbbb.n", "all.cccc.n"] {
        assert_eq!(snapshot.counter(name), 1_000, "{name}");
        let measure = name.replace('n', "m");
        let distribution = snapshot.distribution(&measure).expect(&measure);
        assert_eq!(distribution.count, 1_000, "{measure}");
    }
}

#[test]
fn only_fractions_change_the_type() {
    let metrics = Metrics::new();
    let monitor = monitor(&metrics);
    monitor.count("bytes", 1 << 53);
    monitor.count("bytes", 1);
    monitor.count_f64("cost", 0.25);
    monitor.count_f64("cost", 1.5);
    let snapshot = metrics.snapshot();
    let values: Vec<_> = snapshot.counters.iter().map(|it| it.value).collect();
    let exact = CounterValue::Whole((1 << 53) + 1);
    assert_eq!(values, [exact, CounterValue::Fractional(1.75)]);
    assert_eq!(snapshot.counter("bytes"), (1 << 53) + 1);
    assert_eq!(snapshot.counter("cost"), 1);
    let json = serde_json::to_value(&snapshot).expect("numbers");
    assert_eq!(json["counters"][1]["value"], 1.75);
}

#[test]
fn stores_are_independent() {
    let (one, two) = (Metrics::new(), Metrics::new());
    for _ in 0..3 {
        monitor(&one).count("n", 1);
        monitor(&two).count("n", 10);
    }
    assert_eq!(one.snapshot().counter("n"), 3);
    assert_eq!(two.snapshot().counter("n"), 30);
}

#[test]
fn concurrent_updates_are_not_lost() {
    let metrics = Metrics::new();
    let monitor = monitor(&metrics).with_prefix("p");
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..10_000).for_each(|_| monitor.count("n", 1)));
            threads.spawn(|| (0..10_000).for_each(|_| monitor.measure("m", 2.0)));
        }
    });
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.counter("p.n"), 40_000);
    let measured = snapshot.distribution("p.m").expect("it was measured");
    assert_eq!((measured.count, measured.sum), (40_000, 80_000.0));
}

#[test]
fn only_label_tags_create_series() {
    let metrics = Metrics::builder().labels(["kind"]).build();
    let monitor = monitor(&metrics).with_prefix("cache");
    for (kind, task) in [("docker", "a"), ("docker", "b"), ("folder", "c")] {
        monitor
            .with_tag("kind", kind)
            .with_tag("taskId", task)
            .count("hits", 1);
    }
    monitor.count("hits", 1);
    let snapshot = metrics.snapshot();
    let series: Vec<_> = snapshot
        .counters
        .iter()
        .map(|sample| {
            (
                sample.labels.get("kind").map(String::as_str),
                sample.value.as_f64(),
            )
        })
        .collect();
    assert_eq!(
        series,
        [(None, 1.0), (Some("docker"), 2.0), (Some("folder"), 1.0)]
    );
    assert_eq!(snapshot.counter("cache.hits"), 4);
}

#[test]
fn series_limit_drops_labels() {
    let metrics = Metrics::builder().labels(["taskId"]).build();
    let monitor = monitor(&metrics);
    for task in 0..20_000 {
        monitor.with_tag("taskId", task.to_string()).count("n", 1);
    }
    // Without the tag, the same series as that of the excess labels.
    monitor.count("n", 1);
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.counter("n"), 20_001);
    assert_eq!(snapshot.counters.len(), 10_001);
}

#[test]
fn values_are_counted_in_buckets() {
    let metrics = Metrics::builder()
        .buckets("bytes", [10.0, 1.0, 100.0, f64::NAN])
        .build();
    let monitor = monitor(&metrics);
    for value in [0.5, 1.0, 1.5, 100.0, 1e9, f64::NAN] {
        monitor.measure("bytes", value);
    }
    let snapshot = metrics.snapshot();
    let bytes = snapshot.distribution("bytes").expect("it was measured");
    assert_eq!(bytes.bounds, [1.0, 10.0, 100.0]);
    assert_eq!(bytes.counts, [2, 1, 1, 1]);
    assert_eq!((bytes.count, bytes.min, bytes.max), (5, 0.5, 1e9));
    assert_eq!(bytes.mean(), Some((0.5 + 1.0 + 1.5 + 100.0 + 1e9) / 5.0));
}

#[test]
fn unit_determines_buckets() {
    let metrics = Metrics::builder()
        .describe("size", Unit::Bytes, "How large it is.")
        .build();
    monitor(&metrics).measure("size", 5000.0);
    let snapshot = metrics.snapshot();
    let size = snapshot.distribution("size").expect("it was measured");
    assert_eq!(size.bounds.first(), Some(&1024.0));
    assert_eq!(size.bounds.last(), Some(&(64.0 * 1024.0 * 1024.0 * 1024.0)));
}

#[test]
fn gauges_are_distinguished_by_labels() {
    let metrics = Metrics::new();
    for (state, count) in [("claimed", 2.0), ("running", 1.0), ("claimed", 3.0)] {
        metrics.set_gauge_with("tasks", &[("state", state)], count);
    }
    let gauges = metrics.snapshot().gauges;
    let values: Vec<_> = gauges
        .iter()
        .map(|gauge| (gauge.labels["state"].as_str(), gauge.value))
        .collect();
    assert_eq!(values, [("claimed", 3.0), ("running", 1.0)]);
}

#[test]
fn monitor_gauges_include_the_prefix() {
    let metrics = Metrics::new();
    let monitor = monitor(&metrics).with_prefix("webhook");
    monitor.set_gauge("certificate-expiry-timestamp", 1.0);
    monitor.set_gauge("certificate-expiry-timestamp", 2.0);
    let gauges = metrics.snapshot().gauges;
    assert_eq!(gauges.len(), 1);
    assert_eq!(gauges[0].name, "webhook.certificate-expiry-timestamp");
    assert_eq!(gauges[0].value, 2.0);
}

#[test]
fn counter_handle_shares_the_monitor_counter() {
    let metrics = Metrics::new();
    let counter = metrics.counter("fetch.retries");
    counter.add(2);
    monitor(&metrics).with_prefix("fetch").count("retries", 3);
    assert_eq!(counter.get(), 5);
}

#[test]
fn catalog_is_sorted_and_unique() {
    let names: Vec<_> = CATALOG.iter().map(|described| described.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn default_buckets_suit_seconds() {
    let metrics = Metrics::new();
    monitor(&metrics).measure_duration("run", std::time::Duration::from_millis(300));
    let snapshot = metrics.snapshot();
    let run = snapshot.distribution("run").expect("it was measured");
    let bucket = run
        .counts
        .iter()
        .position(|count| *count == 1)
        .expect("one value");
    assert_eq!(run.bounds[bucket], 0.5);
}
