//! The bodies of OTLP pushes: `ExportMetricsServiceRequest` and `ExportTraceServiceRequest` in the JSON encoding, which writes
//! 64-bit integers as strings and the ids of traces and spans as hexadecimal digits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runtime_core::monitor::{FinishedTrace, TraceId, TraceSpan};
use serde_json::{Value, json};

use crate::metrics::{CounterValue, Distribution, Metrics, Sample, Unit, families};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: values are totals since the start, so a lost push loses nothing.
const CUMULATIVE: u8 = 2;

/// `SPAN_KIND_INTERNAL`: the span is neither a sent nor a received request.
const INTERNAL: u8 = 1;

/// `STATUS_CODE_OK` and `STATUS_CODE_ERROR`.
const STATUS_OK: u8 = 1;
const STATUS_ERROR: u8 = 2;

/// Encodes traces. `resource` identifies the worker.
pub(super) fn encode_traces(
    traces: &[FinishedTrace],
    resource: &BTreeMap<String, String>,
) -> Vec<u8> {
    let spans = traces
        .iter()
        .flat_map(|trace| trace.spans.iter().map(|span| encode_span(trace.id, span)));
    let spans: Vec<Value> = spans.collect();
    let body = json!({"resourceSpans": [{
        "resource": encode_resource(resource),
        "scopeSpans": [{"scope": scope(), "spans": spans}],
    }]});
    body.to_string().into_bytes()
}

fn encode_span(trace: TraceId, span: &TraceSpan) -> Value {
    let status = match &span.error {
        None => json!({"code": STATUS_OK}),
        Some(error) => json!({"code": STATUS_ERROR, "message": error}),
    };
    let attributes = span.attributes.iter();
    let mut encoded = json!({
        "traceId": trace.to_string(),
        "spanId": span_id(span.id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": unix_nanos(span.start),
        "endTimeUnixNano": unix_nanos(span.end),
        "attributes": attributes_of(attributes.map(|(name, value)| (*name, value.as_str()))),
        "status": status,
    });
    if let Some(parent) = span.parent {
        encoded["parentSpanId"] = span_id(parent).into();
    }
    encoded
}

fn span_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Encodes the current values. `resource` identifies the worker.
pub(super) fn encode_metrics(metrics: &Metrics, resource: &BTreeMap<String, String>) -> Vec<u8> {
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
    let body = json!({"resourceMetrics": [{
        "resource": encode_resource(resource),
        "scopeMetrics": [{"scope": scope(), "metrics": all}],
    }]});
    body.to_string().into_bytes()
}

fn encode_resource(resource: &BTreeMap<String, String>) -> Value {
    // `service.name` is required by the specification; the configuration may override it.
    let mut all = BTreeMap::from([("service.name".to_owned(), "worker".to_owned())]);
    all.extend(resource.clone());
    json!({"attributes": attributes(&all)})
}

fn scope() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
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
    attributes_of(pairs.iter().map(|(key, value)| (&**key, &**value)))
}

fn attributes_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    pairs
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect()
}

fn unix_nanos(at: Timestamp) -> String {
    at.as_nanosecond().to_string()
}
