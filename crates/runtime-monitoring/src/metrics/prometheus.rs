//! The OpenMetrics text format, which Prometheus scrapes.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::snapshot::{CounterValue, Distribution, Sample, Snapshot, families};
use super::store::Metrics;

/// The content type of [`Metrics::to_openmetrics`].
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The first word of all exported names.
const NAMESPACE: &str = "worker";

impl Metrics {
    /// Returns the metrics in the OpenMetrics text format, which Prometheus scrapes.
    ///
    /// `fetch.retries` becomes `worker_fetch_retries`, followed by its unit, such as `_seconds`, and by `_total` if it is a
    /// counter. The content type is [`OPENMETRICS_CONTENT_TYPE`].
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        let mut registry = Registry::with_prefix(NAMESPACE);
        registry.register_collector(Box::new(SnapshotCollector {
            snapshot: self.snapshot(),
            metrics: self.clone(),
        }));
        let mut out = String::new();
        // Writing to a `String` cannot fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// Encodes a snapshot for a single scrape.
///
/// The registry of `prometheus-client` would hold its own metric objects, whose names and labels are fixed at compile time
/// or registered up front. Metrics of monitors appear at run time, so the registry only serves as an encoder.
#[derive(Debug)]
struct SnapshotCollector {
    snapshot: Snapshot,
    metrics: Metrics,
}

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut names = UniqueNames::default();
        let Snapshot {
            counters,
            distributions,
            gauges,
        } = &self.snapshot;
        for family in families(counters) {
            let name = names.sanitize(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Counter)?;
            for sample in family {
                let labels = SampleLabels(sample);
                encode_counter(metric.encode_family(&labels)?, sample.value)?;
            }
        }
        for family in families(distributions) {
            let name = names.sanitize(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Histogram)?;
            for sample in family {
                encode_histogram(metric.encode_family(&SampleLabels(sample))?, &sample.value)?;
            }
        }
        for family in families(gauges) {
            let name = names.sanitize(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Gauge)?;
            for sample in family {
                let labels = SampleLabels(sample);
                metric.encode_family(&labels)?.encode_gauge(&sample.value)?;
            }
        }
        Ok(())
    }
}

impl SnapshotCollector {
    /// Writes the `# HELP`, `# TYPE` and `# UNIT` lines of a family.
    fn begin<'a, T>(
        &self,
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        family: &[Sample<T>],
        kind: MetricType,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        let metadata = self.metrics.metadata(&family[0].name);
        // The encoder writes the help text as it is, so the escaping that OpenMetrics requires is done here. A line feed
        // would end the `# HELP` line.
        let help = metadata
            .help
            .replace('\\', r"\\")
            .replace('\n', " ")
            .replace('"', "\\\"");
        encoder.encode_descriptor(name, &help, metadata.unit.prometheus(), kind)
    }
}

fn encode_counter(mut metric: MetricEncoder<'_>, value: CounterValue) -> fmt::Result {
    match value {
        CounterValue::Whole(value) => {
            metric.encode_counter::<[(&str, &str); 0], u64, f64>(&value, None)
        }
        CounterValue::Fractional(value) => {
            metric.encode_counter::<[(&str, &str); 0], f64, f64>(&value, None)
        }
    }
}

fn encode_histogram(mut metric: MetricEncoder<'_>, value: &Distribution) -> fmt::Result {
    // The encoder turns these counts into the cumulative ones of the format. The last bucket must be `+Inf`.
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(value.counts.iter().copied()).collect();
    metric.encode_histogram::<[(&str, &str); 0]>(value.sum, value.count, &buckets, None)
}

/// Converts metric names to valid Prometheus names, each at most once.
#[derive(Default)]
struct UniqueNames(BTreeSet<String>);

impl UniqueNames {
    fn sanitize(&mut self, name: &str) -> String {
        // The encoder appends `_total` to a counter itself.
        let mut sanitized = sanitize(name.strip_suffix("_total").unwrap_or(name));
        // `a.b` and `a-b` become the same name, and a counter and a gauge may share one. Prometheus rejects the whole scrape
        // if a family appears twice.
        while !self.0.insert(sanitized.clone()) {
            sanitized.push('_');
        }
        sanitized
    }
}

fn sanitize(name: &str) -> String {
    let replace = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(replace).collect()
}

/// The labels of a sample.
#[derive(Debug)]
struct SampleLabels<'a, T>(&'a Sample<T>);

impl<T: fmt::Debug> EncodeLabelSet for SampleLabels<'_, T> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels = self.0.labels.iter();
        let labels: Vec<_> = labels
            .map(|(name, value)| (sanitize(name), value.clone()))
            .collect();
        labels.encode(encoder)
    }
}
