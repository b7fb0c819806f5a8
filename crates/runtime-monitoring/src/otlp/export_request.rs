//! The body of an OTLP push: `ExportMetricsServiceRequest` in the JSON encoding, which writes 64-bit integers as strings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics::{CounterValue, Distribution, Metrics, Sample, Unit, families};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: values are totals since the start, so a lost push loses nothing.
const CUMULATIVE: u8 = 2;

/// Encodes the current values. `resource` identifies the worker.
pub(super) fn encode(metrics: &Metrics, resource: &BTreeMap<String, String>) -> Vec<u8> {
    let encoder = MetricEncoder {
        metrics,
        start: unix_nanos(metrics.start_time()),
        now: unix_nanos(Timestamp::now()),
    };
    let snapshot = metrics.snapshot();
    let counters = families(&snapshot.counters).map(|family| {
        let value = |value: &CounterValue| match value {
            CounterValue::Whole(value) => json!({"asInt": value.to_string()}),
            CounterValue::Fractional(value) => json!({"asDouble": value}),
        };
        let sum = json!({"aggregationTemporality": CUMULATIVE, "isMonotonic": true});
        encoder.encode(family, "sum", sum, value)
    });
    let histograms = families(&snapshot.distributions).map(|family| {
        let histogram = json!({"aggregationTemporality": CUMULATIVE});
        encoder.encode(family, "histogram", histogram, histogram_value)
    });
    let gauges = families(&snapshot.gauges).map(|family| {
        let value = |value: &f64| json!({"asDouble": value});
        encoder.encode(family, "gauge", json!({}), value)
    });
    let all: Vec<Value> = counters.chain(histograms).chain(gauges).collect();
    // `service.name` is required by the specification; the configuration may override it.
    let mut resource_attributes =
        BTreeMap::from([("service.name".to_owned(), "worker".to_owned())]);
    resource_attributes.extend(resource.clone());
    let scope = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let body = json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(&resource_attributes)},
        "scopeMetrics": [{"scope": scope, "metrics": all}],
    }]});
    body.to_string().into_bytes()
}

/// Encodes metrics of one push.
struct MetricEncoder<'a> {
    metrics: &'a Metrics,
    start: String,
    now: String,
}

impl MetricEncoder<'_> {
    /// Encodes a metric. `data` is its object under the key `kind`, without the data points.
    fn encode<T>(
        &self,
        family: &[Sample<T>],
        kind: &str,
        mut data: Value,
        value: impl Fn(&T) -> Value,
    ) -> Value {
        let points = family.iter().map(|sample| {
            let mut point = value(&sample.value);
            point["attributes"] = attributes(&sample.labels);
            point["startTimeUnixNano"] = self.start.clone().into();
            point["timeUnixNano"] = self.now.clone().into();
            point
        });
        data["dataPoints"] = points.collect();
        let name = &family[0].name;
        let metadata = self.metrics.metadata(name);
        // OTLP units follow the UCUM.
        let unit = match metadata.unit {
            Unit::None => "",
            Unit::Seconds => "s",
            Unit::Bytes => "By",
            Unit::Ratio => "1",
        };
        json!({
            "name": format!("worker.{name}"),
            "description": metadata.help,
            "unit": unit,
            kind: data,
        })
    }
}

fn histogram_value(value: &Distribution) -> Value {
    let counts: Vec<String> = value.counts.iter().map(ToString::to_string).collect();
    let mut point = json!({
        "count": value.count.to_string(),
        "sum": value.sum,
        "bucketCounts": counts,
        "explicitBounds": value.bounds,
    });
    // Without values, minimum and maximum are infinite, which JSON cannot represent.
    if value.count > 0 {
        point["min"] = value.min.into();
        point["max"] = value.max.into();
    }
    point
}

fn attributes(pairs: &BTreeMap<String, String>) -> Value {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect()
}

fn unix_nanos(at: Timestamp) -> String {
    at.as_nanosecond().to_string()
}
