//! The metrics of this workspace, described: `docs/metrics.md` is made of this table, and `cargo xtask docs` checks that
//! it lists what the sources count and measure.

#[cfg(feature = "prometheus")]
use std::sync::LazyLock;

use super::MetricMetadata;

/// The description of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricDescriptor {
    /// Its name, with the prefix.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What its values are.
    pub unit: Unit,
    /// What it tells.
    pub help: &'static str,
}

/// What a metric does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It grows.
    Counter,
    /// It is a distribution of values.
    Histogram,
    /// It goes up and down.
    Gauge,
}

/// What the values of a metric are. The buckets of a histogram suit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things. Buckets from 1 to 100 000.
    #[default]
    None,
    /// Seconds. Buckets from a millisecond to two hours.
    Seconds,
    /// Bytes. Buckets from 1 KiB to 64 GiB.
    Bytes,
    /// A share, from 0 to 1. Buckets of a tenth.
    Ratio,
}

impl Unit {
    /// What a name for Prometheus ends in.
    #[cfg(feature = "prometheus")]
    pub(super) fn name(self) -> Option<&'static prometheus_client::registry::Unit> {
        use prometheus_client::registry::Unit as Exported;
        // Its own `Ratios` is in the plural, which names of Prometheus have for what is counted only.
        static RATIO: LazyLock<Exported> = LazyLock::new(|| Exported::Other("ratio".to_owned()));
        match self {
            Self::None => None,
            Self::Seconds => Some(&Exported::Seconds),
            Self::Bytes => Some(&Exported::Bytes),
            Self::Ratio => Some(&RATIO),
        }
    }

    /// The upper bounds of buckets.
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

impl MetricDescriptor {
    pub(super) fn entry(&self) -> (String, MetricMetadata) {
        let description = MetricMetadata {
            unit: self.unit,
            help: self.help.to_owned(),
        };
        (self.name.to_owned(), description)
    }
}

macro_rules! catalog {
    ($($kind:ident $unit:ident $name:literal $help:literal)*) => {
        /// The metrics of this workspace, by name.
        pub const CATALOG: &[MetricDescriptor] = &[$(MetricDescriptor {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            help: $help,
        }),*];
    };
}

// A line a metric: `cargo xtask docs` reads them.
catalog! {
    Counter None "cache-hits" "Inputs and caches of tasks that were there already."
    Counter None "cache-misses" "Inputs and caches of tasks that had to be made."
    Counter None "caches-purged" "Caches that were dropped because somebody asked the purge-cache service for it."
    Counter None "claims-failed" "Claims of tasks that failed; the worker claims again later."
    Gauge Bytes "disk-free" "What the worker may still write on the disk of its storage."
    Gauge Bytes "disk-total" "The size of the disk of the worker's storage."
    Histogram Seconds "gc.duration" "Time of a collection that had news: it freed something, failed to, or found a limit passed or kept again."
    Counter None "gc.failed" "Disposals of resources that failed; they are tried again."
    Counter None "gc.freed" "Resources that were disposed of."
    Counter Bytes "gc.freed-disk" "Disk that is known to have been freed."
    Histogram None "gc.in-use" "Resources in use that a collection met; with a shortage, all that are."
    Histogram None "gc.quarantined" "Resources that wait for their disposal to be tried again, at the end of a collection."
    Counter None "gc.shortages" "Limits that were still passed at the end of a collection that had news."
    Counter None "gc.slow" "Disposals that took so long that the collection went on without them."
    Gauge None "inodes-free" "How many files may still be made on the disk of the worker's storage."
    Counter None "internal-errors" "Runs that ended by an internal error of the worker."
    Gauge Bytes "memory-available" "Memory that can be had without swapping, of the machine or of the worker's control group."
    Gauge Bytes "memory-total" "Memory of the machine, or of the worker's control group where that is smaller."
    Counter None "monitoring.incidents-dropped" "Error reports that found their queue full or were left when the worker stopped."
    Counter None "monitoring.incidents-sent" "Error reports that were delivered."
    Counter None "monitoring.log-lines-dropped" "Lines of the worker's log that came faster than they could be written."
    Counter None "monitoring.otlp-failures" "Pushes of metrics that failed; the next one has their values too."
    Gauge Ratio "pressure" "Share of the last 10 seconds in which something waited for the `resource`: cpu, io or memory."
    Gauge Seconds "process.cpu" "Processor time of the worker itself, since it started."
    Gauge None "process.max-open-files" "How many files the worker may have open."
    Gauge None "process.open-files" "How many files the worker has open."
    Gauge Bytes "process.resident-memory" "Memory of the worker itself."
    Gauge None "process.threads" "Threads of the worker itself."
    Counter None "reclaimed" "Claims that were extended."
    Counter None "redactions" "How many times a secret was taken out of a text of the worker."
    Counter None "shell.sessions" "Shells that were opened."
    Histogram Seconds "task-cpu" "Processor time of a task."
    Histogram Seconds "task-duration" "Time from the claim of a task to its resolution."
    Histogram Bytes "task-peak-memory" "The most memory that a task had at a time."
    Gauge None "tasks" "Tasks that the worker holds, by `state`: claimed or running."
    Counter None "tasks-resolved" "Runs that were resolved, whatever they came to."
    Counter None "webhook.accept-errors" "Connections to hooks that could not be accepted."
    Counter None "webhook.certificate-errors" "Certificates that were replaced by one that cannot be used."
    Gauge Seconds "webhook.certificate-expiry-timestamp" "When the certificate of the server of hooks ends, as a Unix timestamp."
    Counter None "webhook.certificate-reloads" "Certificates that were replaced."
    Counter None "webhook.connection-errors" "Connections to hooks that broke."
    Counter None "webhook.connections" "Connections to hooks."
    Counter None "webhook.panics" "Handlers of hooks that panicked."
    Counter None "webhook.requests" "Requests to hooks."
    Counter None "webhook.tls-errors" "Connections to hooks whose TLS handshake failed."
    Counter None "webhook.tunnel-connect-errors" "Tunnels that could not be opened."
    Counter None "webhook.tunnel-connects" "Tunnels that were opened."
    Counter None "webhook.tunnel-disconnects" "Tunnels that ended by an error."
    Counter None "webhook.unknown-hooks" "Requests to hooks that are not there."
    Counter None "webhook.url-changes" "Changes of the URLs of hooks."
}
