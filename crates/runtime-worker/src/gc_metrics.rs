//! Metrics of the garbage collector.

use runtime_core::Monitor;
use runtime_gc::CollectionReport;

/// Creates a listener that records collections as metrics with the prefix `gc`; `docs/metrics.md` lists them.
///
/// Pass it to [`GarbageCollector::with_listener`](runtime_gc::GarbageCollector::with_listener). The collector does not
/// call it for collections without any action.
///
/// ```
/// use runtime_core::Monitor;
/// use runtime_gc::{GcConfig, GarbageCollector, HostStats};
/// use runtime_worker::gc_metrics::record_gc_metrics;
///
/// let listener = record_gc_metrics(&Monitor::null());
/// let collector = GarbageCollector::with_listener(GcConfig::default(), HostStats::new("."), listener);
/// # drop(collector);
/// ```
pub fn record_gc_metrics(monitor: &Monitor) -> impl Fn(&CollectionReport) + Send + Sync + 'static {
    let monitor = monitor.with_prefix("gc");
    move |report| {
        monitor.count("freed", report.freed.len() as u64);
        monitor.count("freed-disk", report.freed_disk());
        monitor.count("failed", report.failed.len() as u64);
        monitor.count("slow", report.slow.len() as u64);
        monitor.count("shortages", report.shortages.len() as u64);
        monitor.measure_duration("duration", report.duration);
        monitor.measure("in-use", gauge(report.in_use));
        monitor.measure("quarantined", gauge(report.quarantined));
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 resources")]
fn gauge(resources: u64) -> f64 {
    resources as f64
}
