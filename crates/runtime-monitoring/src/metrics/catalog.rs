//! The metrics of this workspace with their descriptions.
//!
//! `cargo xtask docs` generates `docs/metrics.md` from this table and checks that it lists every metric the sources record.

#[cfg(feature = "prometheus")]
use std::sync::LazyLock;

/// The description of a metric of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricDescriptor {
    /// The name, prefix included.
    pub name: &'static str,
    /// Counter, histogram or gauge.
    pub kind: MetricKind,
    /// The unit of the values.
    pub unit: Unit,
    /// The help text.
    pub help: &'static str,
}

/// The unit and the help text of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricMetadata {
    /// The unit of the values.
    pub unit: Unit,
    /// The help text.
    pub help: String,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A sum that only grows.
    Counter,
    /// A distribution of values.
    Histogram,
    /// A value that rises and falls.
    Gauge,
}

/// The unit of a metric, which also determines the default buckets of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number of items. Buckets from 1 to 100 000.
    #[default]
    None,
    /// Seconds. Buckets from 1 ms to 2 h.
    Seconds,
    /// Bytes. Buckets from 1 KiB to 64 GiB.
    Bytes,
    /// A share from 0 to 1. Buckets of 0.1.
    Ratio,
}

impl Unit {
    /// Returns the unit suffix of Prometheus names.
    #[cfg(feature = "prometheus")]
    pub(super) fn prometheus(self) -> Option<&'static prometheus_client::registry::Unit> {
        use prometheus_client::registry::Unit as Exported;
        // The crate's own `Ratios` yields `_ratios`, but the Prometheus naming conventions ask for `_ratio`.
        static RATIO: LazyLock<Exported> = LazyLock::new(|| Exported::Other("ratio".to_owned()));
        match self {
            Self::None => None,
            Self::Seconds => Some(&Exported::Seconds),
            Self::Bytes => Some(&Exported::Bytes),
            Self::Ratio => Some(&RATIO),
        }
    }

    /// Returns the upper bounds of the default buckets.
    pub(super) fn bounds(self) -> &'static [f64] {
        const KIB: f64 = 1024.0;
        const MIB: f64 = 1024.0 * KIB;
        const GIB: f64 = 1024.0 * MIB;
        match self {
            Self::None => &[
                1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 1e5,
            ],
            Self::Seconds => &[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
            ],
            Self::Bytes => &[
                KIB,
                4.0 * KIB,
                16.0 * KIB,
                64.0 * KIB,
                256.0 * KIB,
                MIB,
                4.0 * MIB,
                16.0 * MIB,
                64.0 * MIB,
                256.0 * MIB,
                GIB,
                4.0 * GIB,
                16.0 * GIB,
                64.0 * GIB,
            ],
            Self::Ratio => &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        }
    }
}

/// The label of `tasks-resolved`.
pub(crate) const RESOLUTION_LABEL: &str = "resolution";

/// The values of [`RESOLUTION_LABEL`].
pub(super) const RESOLUTIONS: [&str; 10] = [
    "completed",
    "failed",
    "abandoned",
    "exception/canceled",
    "exception/deadline-exceeded",
    "exception/internal-error",
    "exception/intermittent-task",
    "exception/malformed-payload",
    "exception/resource-unavailable",
    "exception/worker-shutdown",
];

impl MetricDescriptor {
    pub(super) fn entry(&self) -> (String, MetricMetadata) {
        let metadata = MetricMetadata {
            unit: self.unit,
            help: self.help.to_owned(),
        };
        (self.name.to_owned(), metadata)
    }
}

macro_rules! catalog {
    ($($kind:ident $unit:ident $name:literal $help:literal)*) => {
        /// The metrics of this workspace, sorted by name.
        pub const CATALOG: &[MetricDescriptor] = &[$(MetricDescriptor {
            name: $name,
            kind: MetricKind::$kind,
            unit: Unit::$unit,
            help: $help,
        }),*];
    };
}

// One line per metric, which `cargo xtask docs` parses as text.
catalog! {
    Histogram Seconds "artifacts.upload-duration" "Duration of the uploads of a task's artifacts, except its log."
    Counter None "claims-failed" "Failed requests for tasks. The worker retries."
    Gauge Bytes "disk-free" "Space available to the worker on the disk of its storage."
    Gauge Bytes "disk-total" "Size of the disk of the worker's storage."
    Histogram Seconds "gc.duration" "Duration of collections that evicted or failed to evict resources, or in which a threshold was newly exceeded or met."
    Counter None "gc.failed" "Failed disposals of resources. The collector retries."
    Counter None "gc.freed" "Resources disposed of."
    Counter Bytes "gc.freed-disk" "Disk space freed, as far as resources know their size."
    Histogram None "gc.in-use" "Number of resources in use that a collection skipped. If a threshold is exceeded, it is the number of all resources in use."
    Histogram None "gc.quarantined" "Resources waiting for another attempt to dispose of them at the end of a collection."
    Counter None "gc.shortages" "Thresholds still exceeded at the end of a collection."
    Counter None "gc.slow" "Disposals that exceeded the time limit, so that the collection continued without them."
    Gauge None "inodes-free" "Files that can still be created on the disk of the worker's storage."
    Counter None "internal-errors" "Runs that ended with an internal error of the worker."
    Gauge Bytes "memory-available" "Memory available without swapping, of the machine or of the worker's control group."
    Gauge Bytes "memory-total" "Memory of the machine, or the limit of the worker's control group if that is lower."
    Counter None "monitoring.incidents-dropped" "Error reports dropped because the queue was full or the worker stopped."
    Counter None "monitoring.incidents-sent" "Error reports delivered."
    Counter None "monitoring.log-lines-dropped" "Log lines of the worker dropped because the output was too slow."
    Counter None "monitoring.otlp-failures" "Failed pushes of metrics and traces. The next successful push includes their values and spans."
    Counter None "monitoring.spans-dropped" "Spans of traces dropped because a task had too many, the queue was full or the collector rejected them."
    Counter None "mounts.cache-hits" "Task inputs and caches found on disk, or fetched for another task at the same time."
    Counter None "mounts.cache-misses" "Task inputs and caches that had to be fetched or created."
    Counter None "mounts.caches-purged" "Caches removed on request of the purge-cache service."
    Histogram Seconds "mounts.input-duration" "Duration of the lookup or fetch of a task input, whether or not it succeeded."
    Gauge Ratio "pressure" "Share of the last 10 seconds in which at least one process was stalled on the `resource`: cpu, io or memory."
    Gauge Seconds "process.cpu" "CPU time of the worker process since its start."
    Gauge None "process.max-open-files" "Limit on open files of the worker process."
    Gauge None "process.open-files" "Open files of the worker process."
    Gauge Bytes "process.resident-memory" "Resident memory of the worker process."
    Gauge None "process.threads" "Threads of the worker process."
    Counter None "reclaimed" "Task claims extended."
    Counter None "redactions" "Secrets removed from logs, metrics and reports of the worker."
    Histogram Seconds "resources.cpu" "CPU time of a task."
    Histogram Bytes "resources.peak-memory" "Peak memory of a task."
    Counter None "shell.sessions" "Interactive shells opened."
    Histogram Seconds "task-duration" "Time from the claim of a task to its resolution."
    Gauge None "tasks" "Tasks held by the worker, by `state`: claimed or running."
    Counter None "tasks-resolved" "Runs resolved, by `resolution`, such as completed or exception/worker-shutdown."
    Counter None "webhook.accept-errors" "Connections to hooks that could not be accepted."
    Counter None "webhook.certificate-errors" "Renewed certificates that could not be loaded."
    Gauge Seconds "webhook.certificate-expiry-timestamp" "Expiry of the web hook server's certificate, as a Unix timestamp."
    Counter None "webhook.certificate-reloads" "Renewed certificates loaded."
    Counter None "webhook.connection-errors" "Connections to hooks that failed."
    Counter None "webhook.connections" "Connections to hooks."
    Counter None "webhook.handler-timeouts" "Hook handlers that did not respond in time."
    Counter None "webhook.panics" "Panics of hook handlers."
    Counter None "webhook.requests" "Requests to hooks."
    Counter None "webhook.tls-errors" "Connections to hooks whose TLS handshake failed."
    Counter None "webhook.tunnel-connect-errors" "Tunnels that could not be opened."
    Counter None "webhook.tunnel-connects" "Tunnels opened."
    Counter None "webhook.tunnel-disconnects" "Tunnels that failed after they were opened."
    Counter None "webhook.unknown-hooks" "Requests to hooks that do not exist."
    Counter None "webhook.url-changes" "Changes of the URLs of hooks."
}
