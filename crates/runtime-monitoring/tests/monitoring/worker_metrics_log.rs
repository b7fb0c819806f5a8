//! The `WORKER_METRICS` lines.

use runtime_core::{Run, TaskId, Timestamp, WorkerIdentity};
use runtime_monitoring::{LineFormat, LoggingMonitor, WorkerEvent, WorkerMetricsLog};
use serde_json::{Value, json};
use tracing::dispatcher::with_default;

use crate::support::capture;

#[test]
fn line_contains_event_worker_and_task() {
    let identity = WorkerIdentity {
        root_url: "https://tc.example.com".to_owned(),
        task_queue_id: "proj/ci".to_owned(),
        worker_group: "eu".to_owned(),
        worker_id: "i-0123".to_owned(),
    };
    let events = WorkerMetricsLog::new("my-worker", &identity, "eu-west-1", "m5.large");
    let run = Run {
        task_id: "RmzTkg-8Qj614ea9fI9Jmg".parse::<TaskId>().expect("an id"),
        run_id: 1,
    };
    let at = Timestamp::from_second(1_700_000_000).expect("a time");
    let text = LineFormat::Text { colours: false };
    let (subscriber, guard, output) = capture(text);
    with_default(&subscriber, || {
        let monitor = LoggingMonitor::new().into_monitor();
        events.log(&monitor, WorkerEvent::TaskStart, Some(&run), at);
        events.log(&monitor, WorkerEvent::InstanceShutdown, None, at);
    });
    drop(guard);
    let text = output.text();
    let metrics: Vec<Value> = text
        .lines()
        .map(|line| line.split_once("WORKER_METRICS ").expect("the mark").1)
        .map(|json| serde_json::from_str(json).expect("a JSON object"))
        .collect();
    let mut expected = json!({
        "eventType": "taskStart",
        "timestamp": 1_700_000_000,
        "worker": "my-worker",
        "workerPoolId": "proj/ci",
        "workerId": "i-0123",
        "region": "eu-west-1",
        "instanceType": "m5.large",
        "taskId": "RmzTkg-8Qj614ea9fI9Jmg",
        "runId": 1,
    });
    assert_eq!(metrics[0], expected);
    expected["eventType"] = "instanceShutdown".into();
    let members = expected.as_object_mut().expect("an object");
    members.remove("taskId");
    members.remove("runId");
    assert_eq!(metrics[1], expected);
}
