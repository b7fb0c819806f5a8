//! The body of a push: OTLP's metrics in its JSON form, in which 64-bit integers are strings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics::{Distribution, Metrics, Unit, families};

/// Values are sums since the start.
const CUMULATIVE: u8 = 2;

/// The metrics of this moment.
pub(super) fn metrics(metrics: &Metrics, resource: &BTreeMap<String, String>) -> Vec<u8> {
    let times = Times {
        start: nanoseconds(metrics.start_time()),
        now: nanoseconds(Timestamp::now()),
    };
    let snapshot = metrics.snapshot();
    let counters = families(&snapshot.counters).map(|family| {
        let points: Vec<Value> = family
            .iter()
            .map(|sample| times.point(&sample.labels, json!({"asInt": sample.value.to_string()})))
            .collect();
        let sum = json!({
            "aggregationTemporality": CUMULATIVE,
            "isMonotonic": true,
            "dataPoints": points,
        });
        metric(metrics, &family[0].name, "sum", sum)
    });
    let histograms = families(&snapshot.distributions).map(|family| {
        let points: Vec<Value> = family
            .iter()
            .map(|sample| times.point(&sample.labels, histogram(&sample.value)))
            .collect();
        let histogram = json!({"aggregationTemporality": CUMULATIVE, "dataPoints": points});
        metric(metrics, &family[0].name, "histogram", histogram)
    });
    let gauges = families(&snapshot.gauges).map(|family| {
        let points: Vec<Value> = family
            .iter()
            .map(|sample| times.point(&sample.labels, json!({"asDouble": sample.value})))
            .collect();
        metric(
            metrics,
            &family[0].name,
            "gauge",
            json!({"dataPoints": points}),
        )
    });
    let all: Vec<Value> = counters.chain(histograms).chain(gauges).collect();
    let mut about = BTreeMap::from([("service.name".to_owned(), "worker".to_owned())]);
    about.extend(resource.clone());
    let scope = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let body = json!({"resourceMetrics": [{
        "resource": {"attributes": attributes(&about)},
        "scopeMetrics": [{"scope": scope, "metrics": all}],
    }]});
    body.to_string().into_bytes()
}

fn metric(metrics: &Metrics, name: &str, kind: &str, data: Value) -> Value {
    let described = metrics.metadata(name);
    let unit = match described.unit {
        Unit::None => "",
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        Unit::Ratio => "1",
    };
    json!({
        "name": format!("worker.{name}"),
        "description": described.help,
        "unit": unit,
        kind: data,
    })
}

fn histogram(value: &Distribution) -> Value {
    let counts: Vec<String> = value.counts.iter().map(ToString::to_string).collect();
    let mut point = json!({
        "count": value.count.to_string(),
        "sum": value.sum,
        "bucketCounts": counts,
        "explicitBounds": value.bounds,
    });
    // Without values, they are infinite, which JSON cannot say.
    if value.count > 0 {
        point["min"] = value.min.into();
        point["max"] = value.max.into();
    }
    point
}

/// From when to when something was counted.
struct Times {
    start: String,
    now: String,
}

impl Times {
    fn point(&self, labels: &BTreeMap<String, String>, mut value: Value) -> Value {
        value["attributes"] = attributes(labels);
        value["startTimeUnixNano"] = self.start.clone().into();
        value["timeUnixNano"] = self.now.clone().into();
        value
    }
}

fn attributes(pairs: &BTreeMap<String, String>) -> Value {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect()
}

fn nanoseconds(at: Timestamp) -> String {
    at.as_nanosecond().to_string()
}
