//! The trace ids of requests.

use runtime_core::monitor::TraceId;
use runtime_core::{Monitor, Timestamp};
use runtime_mocks::TestTask;
use serde_json::json;

use crate::calls::{ask, status};
use crate::support::Reply;

#[tokio::test]
async fn requests_of_a_task_have_its_trace_id() {
    let task = TestTask::new(json!({}));
    let calls = ask(|_, _| Reply::json(200, status()));
    let now = Timestamp::now();
    let (_, requests) = Monitor::null()
        .trace_task(
            (task.context().run(), task.context().redactor()),
            now,
            calls,
            |_| None,
        )
        .await;
    let trace_id = TraceId::of(task.context().run()).to_string();
    assert_eq!(requests[0].header("x-taskcluster-trace-id"), trace_id);
    let (_, requests) = ask(|_, _| Reply::json(200, status())).await;
    assert_eq!(requests[0].header("x-taskcluster-trace-id"), "");
}
