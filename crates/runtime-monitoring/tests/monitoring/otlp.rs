//! OTLP requests, parsed by OpenTelemetry's own types.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use runtime_core::Secret;
use runtime_monitoring::{
    LoggingMonitor, Metrics, OtlpConfig, OtlpPush, StartPushError, TraceQueue, push_to_otlp,
};

use crate::service::{Received, Service};

fn read(received: &Received) -> ExportMetricsServiceRequest {
    assert_eq!(received.path, "/v1/metrics");
    assert_eq!(received.headers["content-type"], "application/json");
    serde_json::from_slice(&received.body).expect("a request of OTLP")
}

fn metric<'a>(request: &'a ExportMetricsServiceRequest, name: &str) -> &'a Metric {
    let scope = &request.resource_metrics[0].scope_metrics[0];
    let mut metrics = scope.metrics.iter();
    metrics.find(|metric| metric.name == name).expect(name)
}

fn text(pairs: &[KeyValue], key: &str) -> String {
    let pair = pairs.iter().find(|pair| pair.key == key).expect(key);
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn recorded() -> Metrics {
    let metrics = Metrics::builder().labels(["kind"]).build();
    let monitor = LoggingMonitor::new().with_metrics(metrics.clone());
    let monitor = monitor.into_monitor().with_tag("kind", "docker");
    monitor.count("tasks-resolved", 3);
    monitor.count_f64("cost", 0.5);
    monitor.measure("task-duration", 1.5);
    metrics.set_gauge_with("tasks", &[("state", "running")], 2.0);
    metrics
}

/// Pushes metrics without traces.
fn start(
    config: &OtlpConfig,
    metrics: Metrics,
    tags: &BTreeMap<String, String>,
) -> Result<OtlpPush, StartPushError> {
    let traces = TraceQueue::new(&metrics);
    push_to_otlp(config, metrics, traces, tags)
}

#[tokio::test]
async fn all_kinds_arrive_with_units_and_labels() {
    let mut service = Service::start(&[]).await;
    let mut config = OtlpConfig::new(format!("http://127.0.0.1:{}/", service.port));
    let token = Secret::new("Bearer hunter2");
    config.headers.insert("authorization".to_owned(), token);
    let tags = BTreeMap::from([("workerId".to_owned(), "i-1".to_owned())]);
    let push = start(&config, recorded(), &tags).expect("a valid configuration");
    // Stopping pushes a last time.
    push.stop(Duration::from_secs(30)).await;
    let received = service.next().await;
    assert_eq!(received.headers["authorization"], "Bearer hunter2");
    let request = read(&received);

    let resource = request.resource_metrics[0].resource.as_ref().expect("one");
    assert_eq!(text(&resource.attributes, "service.name"), "worker");
    assert_eq!(text(&resource.attributes, "workerId"), "i-1");

    let counter = metric(&request, "worker.tasks-resolved");
    let Some(Data::Sum(sum)) = &counter.data else {
        panic!("{counter:?}");
    };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let point = &sum.data_points[0];
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(3)));
    assert_eq!(text(&point.attributes, "kind"), "docker");
    assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);

    let Some(Data::Sum(sum)) = &metric(&request, "worker.cost").data else {
        panic!("{request:?}");
    };
    let fraction = Some(number_data_point::Value::AsDouble(0.5));
    assert_eq!(sum.data_points[0].value, fraction);

    let histogram = metric(&request, "worker.task-duration");
    assert_eq!(histogram.unit, "s");
    assert!(histogram.description.contains("claim"));
    let Some(Data::Histogram(data)) = &histogram.data else {
        panic!("{histogram:?}");
    };
    let point = &data.data_points[0];
    assert_eq!(
        (point.count, point.sum, point.max),
        (1, Some(1.5), Some(1.5))
    );
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 1);

    let gauge = metric(&request, "worker.tasks");
    let Some(Data::Gauge(data)) = &gauge.data else {
        panic!("{gauge:?}");
    };
    let value = &data.data_points[0].value;
    assert_eq!(*value, Some(number_data_point::Value::AsDouble(2.0)));
}

#[tokio::test(start_paused = true)]
async fn next_push_includes_values_of_a_failed_one() {
    let mut service = Service::start(&["503 Busy"]).await;
    let config = OtlpConfig::new(format!("http://127.0.0.1:{}", service.port));
    let metrics = recorded();
    let push = start(&config, metrics.clone(), &BTreeMap::new());
    let push = push.expect("a valid configuration");
    service.next().await;
    let second = read(&service.next().await);
    let failures = metric(&second, "worker.monitoring.otlp-failures");
    let Some(Data::Sum(sum)) = &failures.data else {
        panic!("{failures:?}");
    };
    let failed = Some(number_data_point::Value::AsInt(1));
    assert_eq!(sum.data_points[0].value, failed);
    drop(push);
}

#[tokio::test]
async fn invalid_configuration_is_rejected() {
    let start = |config: &OtlpConfig| start(config, Metrics::new(), &BTreeMap::new()).map(drop);
    let error = start(&OtlpConfig::new("collector:4318")).expect_err("no URL");
    assert!(matches!(error, StartPushError::Address { .. }), "{error}");
    let mut config = OtlpConfig::new("http://127.0.0.1:1");
    let secret = Secret::new("hunter2\n");
    config.headers.insert("authorization".to_owned(), secret);
    let error = start(&config).expect_err("no header");
    assert!(matches!(error, StartPushError::Header { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}
