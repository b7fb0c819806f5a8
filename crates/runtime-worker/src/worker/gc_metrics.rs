//! What the collector does, as metrics.

use runtime_core::Monitor;
use runtime_gc::CollectionReport;

/// Counts and measures what collections do, below the prefix `gc`; `docs/metrics.md` lists it.
///
/// Give it to [`GarbageCollector::with_listener`](runtime_gc::GarbageCollector::with_listener), which calls it when
/// there is news: a collection that found nothing to do is not measured.
///
/// ```
/// use runtime_core::Monitor;
/// use runtime_gc::{GcConfig, GarbageCollector, HostStats};
/// use runtime_worker::record_gc_metrics;
///
/// let listener = record_gc_metrics(&Monitor::null());
/// let collector = GarbageCollector::with_listener(GcConfig::default(), HostStats::new("."), listener);
/// # drop(collector);
/// ```
pub fn record_gc_metrics(monitor: &Monitor) -> impl Fn(&CollectionReport) + Send + Sync + 'static {
    let monitor = monitor.with_prefix("gc");
    move |report| {
        monitor.count("freed", count(report.freed.len()));
        monitor.count("freed-disk", report.freed_disk());
        monitor.count("failed", count(report.failed.len()));
        monitor.count("slow", count(report.slow.len()));
        monitor.count("shortages", count(report.shortages.len()));
        monitor.measure_duration("duration", report.duration);
        monitor.measure("in-use", figure(report.in_use));
        monitor.measure("quarantined", figure(report.quarantined));
    }
}

fn count(resources: usize) -> u64 {
    u64::try_from(resources).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many resources")]
fn figure(resources: u64) -> f64 {
    resources as f64
}
