//! The text that Prometheus scrapes.

use std::collections::BTreeSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Distribution, Metrics, Sample, Snapshot};

/// The content type of [`Metrics::to_openmetrics`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all names start with.
const PREFIX: &str = "worker";

impl Metrics {
    /// The metrics in the text format of OpenMetrics, for Prometheus to scrape.
    ///
    /// The name `fetch.retries` becomes `worker_fetch_retries`, then its unit, such as `_seconds`, and
    /// `_total` at its end if it is a counter. The content type is [`OPENMETRICS`].
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Exposition {
            snapshot: self.snapshot(),
            metrics: self.clone(),
        }));
        let mut out = String::new();
        // Writing to memory does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// The metrics of one scrape.
#[derive(Debug)]
struct Exposition {
    snapshot: Snapshot,
    metrics: Metrics,
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut names = Names::default();
        let Snapshot {
            counters,
            distributions,
            gauges,
        } = &self.snapshot;
        for family in families(counters) {
            let name = names.plain(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Counter)?;
            for sample in family {
                let value = &sample.value;
                metric
                    .encode_family(&Labels(sample))?
                    .encode_counter::<[(&str, &str); 0], _, f64>(value, None)?;
            }
        }
        for family in families(distributions) {
            let name = names.plain(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Histogram)?;
            for sample in family {
                histogram(metric.encode_family(&Labels(sample))?, &sample.value)?;
            }
        }
        for family in families(gauges) {
            let name = names.plain(&family[0].name);
            let mut metric = self.begin(&mut encoder, &name, family, MetricType::Gauge)?;
            for sample in family {
                let labels = Labels(sample);
                metric.encode_family(&labels)?.encode_gauge(&sample.value)?;
            }
        }
        Ok(())
    }
}

impl Exposition {
    /// Writes the head of a family.
    fn begin<'a, T>(
        &self,
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        family: &[Sample<T>],
        kind: MetricType,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        let described = self.metrics.description(&family[0].name);
        // One line, since the format has no other way to end it.
        let help = described
            .help
            .replace('\\', r"\\")
            .replace('\n', " ")
            .replace('"', "\\\"");
        encoder.encode_descriptor(name, &help, described.unit.name(), kind)
    }
}

/// Samples of the same name, which stand together since they are sorted.
fn families<T>(samples: &[Sample<T>]) -> impl Iterator<Item = &[Sample<T>]> {
    samples.chunk_by(|a, b| a.name == b.name)
}

fn histogram(mut metric: MetricEncoder<'_>, value: &Distribution) -> fmt::Result {
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(value.counts.iter().copied()).collect();
    metric.encode_histogram::<[(&str, &str); 0]>(value.sum, value.count, &buckets, None)
}

/// Makes names that Prometheus takes, and each only once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn plain(&mut self, name: &str) -> String {
        let mut plain = plain(name.strip_suffix("_total").unwrap_or(name));
        // Two names that differ only in what is replaced, or in what they measure, stay apart.
        while !self.0.insert(plain.clone()) {
            plain.push('_');
        }
        plain
    }
}

fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(plain).collect()
}

/// The labels of a sample.
#[derive(Debug)]
struct Labels<'a, T>(&'a Sample<T>);

impl<T: fmt::Debug> EncodeLabelSet for Labels<'_, T> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels = self.0.labels.iter();
        let labels: Vec<_> = labels
            .map(|(name, value)| (plain(name), value.clone()))
            .collect();
        labels.encode(encoder)
    }
}
