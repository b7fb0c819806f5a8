//! Traces of tasks, parsed by OpenTelemetry's own types.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use runtime_core::monitor::{TraceId, current_trace_id, traced};
use runtime_core::util::hex;
use runtime_core::{Monitor, Timestamp};
use runtime_mocks::TestTask;
use runtime_monitoring::{
    LoggingMonitor, Metrics, MonitoringConfig, OtlpConfig, TraceQueue, from_config, push_to_otlp,
};
use serde_json::json;

use crate::service::{Received, Service};
use crate::support::redactor;

const HANG_LIMIT: Duration = Duration::from_secs(60);

fn config(service: &Service) -> OtlpConfig {
    OtlpConfig::new(format!("http://127.0.0.1:{}", service.port))
}

fn recorder() -> (Monitor, TraceQueue, Metrics) {
    let metrics = Metrics::new();
    let traces = TraceQueue::new(&metrics);
    let monitor = LoggingMonitor::new()
        .with_metrics(metrics.clone())
        .with_redactor(redactor("hunter22"))
        .with_traces(traces.clone());
    (monitor.into_monitor(), traces, metrics)
}

fn read(received: &Received) -> Vec<Span> {
    assert_eq!(received.path, "/v1/traces");
    assert_eq!(received.headers["content-type"], "application/json");
    let request: ExportTraceServiceRequest =
        serde_json::from_slice(&received.body).expect("a request of OTLP");
    let resource = request.resource_spans[0].resource.as_ref();
    assert_eq!(resource.expect("a resource").attributes.len(), 2);
    request.resource_spans[0].scope_spans[0].spans.clone()
}

/// Records the trace of a task with `steps` uploads in one stage, the first of which fails.
async fn run_task(monitor: &Monitor, steps: usize) -> TestTask {
    let task = TestTask::new(json!({}));
    let stage = traced("stage", Vec::new, async {
        for step in 0..steps {
            let name = || vec![("artifact", format!("hunter22-{step}"))];
            let upload = async {
                let error = io::Error::other("no hunter22");
                if step == 0 { Err(error) } else { Ok(()) }
            };
            // The stage ignores it.
            let _ = traced("upload", name, upload).await;
        }
        Ok::<_, io::Error>(())
    });
    let work = async {
        stage.await.expect("it ignores failures");
        let last = traced("last", Vec::new, async { Ok::<_, io::Error>(()) });
        last.await.expect("it does nothing");
    };
    let monitor = monitor.with_tag("taskId", task.context().run().task_id.to_string());
    let failure = |(): &()| Some("failed".to_owned());
    let since = Timestamp::now();
    monitor
        .trace_task(
            (task.context().run(), task.context().redactor()),
            since,
            work,
            failure,
        )
        .await;
    task
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("workerId".to_owned(), "i-1".to_owned())])
}

#[tokio::test]
async fn last_push_contains_the_trace() {
    let mut service = Service::start(&[]).await;
    let (monitor, traces, metrics) = recorder();
    let push = push_to_otlp(&config(&service), metrics, traces, &tags());
    let push = push.expect("a valid configuration");
    let task = run_task(&monitor, 2).await;
    push.stop(HANG_LIMIT).await;
    let spans = read(&service.next().await);
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        ["claim", "upload", "upload", "stage", "last", "task"]
    );
    let id = TraceId::of(task.context().run()).to_string();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == id));
    let [_, failed, uploaded, stage, last, task_span] = &spans[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(task_span.parent_span_id, [0; 0]);
    assert_eq!(hex(&task_span.span_id), id[16..]);
    assert_eq!(stage.parent_span_id, task_span.span_id);
    assert_eq!(last.parent_span_id, task_span.span_id);
    assert_eq!(uploaded.parent_span_id, stage.span_id);
    let attribute = |span: &Span| span.attributes[0].value.clone()?.value;
    let task_id = task.context().run().task_id.to_string();
    assert_eq!(attribute(task_span), Some(Value::StringValue(task_id)));
    let redacted = Some(Value::StringValue("[REDACTED]-1".to_owned()));
    assert_eq!(attribute(uploaded), redacted);
    let status = |span: &Span| {
        let status = span.status.clone().expect("a status");
        (status.code(), status.message)
    };
    let error = |message: &str| (StatusCode::Error, message.to_owned());
    assert_eq!(status(failed), error("no [REDACTED]"));
    assert_eq!(status(uploaded), (StatusCode::Ok, String::new()));
    assert_eq!(status(task_span), error("failed"));
}

#[tokio::test(start_paused = true)]
async fn failed_push_is_repeated() {
    let mut service = Service::start(&["503 Busy"]).await;
    let (monitor, traces, metrics) = recorder();
    run_task(&monitor, 2).await;
    let push = push_to_otlp(&config(&service), metrics, traces, &tags());
    let push = push.expect("a valid configuration");
    let first = read(&service.next().await);
    assert_eq!(service.next().await.path, "/v1/metrics");
    assert_eq!(read(&service.next().await), first);
    drop(push);
}

#[tokio::test]
async fn rejected_spans_are_counted() {
    let mut service = Service::start(&["400 Bad Request"]).await;
    let (monitor, traces, metrics) = recorder();
    run_task(&monitor, 2).await;
    let push = push_to_otlp(&config(&service), metrics.clone(), traces, &tags());
    push.expect("a valid configuration").stop(HANG_LIMIT).await;
    read(&service.next().await);
    assert_eq!(metrics.snapshot().counter("monitoring.spans-dropped"), 6);
}

#[tokio::test]
async fn many_spans_are_pushed_early() {
    let mut service = Service::start(&[]).await;
    let (monitor, traces, metrics) = recorder();
    let mut config = config(&service);
    config.interval = Duration::from_secs(24 * 3600);
    let push = push_to_otlp(&config, metrics, traces, &tags());
    let push = push.expect("a valid configuration");
    for _ in 0..3 {
        run_task(&monitor, 900).await;
    }
    let received = tokio::time::timeout(HANG_LIMIT, service.next()).await;
    assert_eq!(read(&received.expect("a push")).len() % 904, 0);
    drop(push);
}

#[tokio::test]
async fn spans_of_a_task_are_limited() {
    let mut service = Service::start(&[]).await;
    let (monitor, traces, metrics) = recorder();
    run_task(&monitor, 2000).await;
    let push = push_to_otlp(&config(&service), metrics.clone(), traces, &tags());
    push.expect("a valid configuration").stop(HANG_LIMIT).await;
    let spans = read(&service.next().await);
    // Later stages have room, whatever the number of uploads.
    assert_eq!(spans.last().expect("spans").name, "task");
    assert_eq!(spans[spans.len() - 2].name, "last");
    assert!(spans.len() > 900 && spans.len() <= 1000, "{}", spans.len());
    let dropped = metrics.snapshot().counter("monitoring.spans-dropped");
    assert_eq!(spans.len() as u64 + dropped, 2004);
}

#[tokio::test]
async fn full_queue_drops_traces() {
    let (monitor, _traces, metrics) = recorder();
    let dropped = || metrics.snapshot().counter("monitoring.spans-dropped");
    for _ in 0..10 {
        run_task(&monitor, 900).await;
    }
    assert_eq!(dropped(), 0);
    for _ in 0..2 {
        run_task(&monitor, 900).await;
    }
    assert_eq!(dropped(), 904);
}

#[tokio::test]
async fn disabled_traces_record_nothing() {
    let mut config = MonitoringConfig::default();
    let task = TestTask::new(json!({}));
    for traces in [false, true] {
        config.otlp = Some(OtlpConfig {
            traces,
            ..OtlpConfig::new("http://127.0.0.1:1")
        });
        let monitor = from_config(&config).monitor;
        let work = async {
            let mut is_recorded = false;
            let attributes = || {
                is_recorded = true;
                Vec::new()
            };
            let step = traced("step", attributes, async { Ok::<_, io::Error>(()) });
            step.await.expect("it does nothing");
            assert_eq!(is_recorded, traces);
            assert_eq!(monitor.traceparent().is_some(), traces);
            // Requests to Taskcluster have it in any case.
            assert_eq!(current_trace_id(), Some(TraceId::of(task.context().run())));
        };
        let since = Timestamp::now();
        monitor
            .trace_task(
                (task.context().run(), task.context().redactor()),
                since,
                work,
                |()| None,
            )
            .await;
        assert_eq!(current_trace_id(), None);
    }
}
