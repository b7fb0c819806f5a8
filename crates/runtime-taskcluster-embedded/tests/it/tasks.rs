//! Creation, dependencies and resolution of tasks.

use std::time::Duration;

use crate::support::{create, later, start};
use runtime_taskcluster_embedded::TaskState;
use serde_json::json;

#[tokio::test]
async fn report_may_be_repeated_but_not_changed() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    for _ in 0..2 {
        let response = worker.run(&task_id, 0, "completed", json!({})).await;
        assert_eq!(
            (response.status, &response.body["status"]["state"]),
            (200, &json!("completed"))
        );
    }
    let other = worker.run(&task_id, 0, "failed", json!({})).await;
    assert_eq!((other.status, other.code()), (409, "RequestConflict"));
}

#[tokio::test]
async fn some_exceptions_are_retried() {
    let (taskcluster, client) = start().await;
    for (reason, created) in [
        ("worker-shutdown", Some("retry")),
        ("intermittent-task", Some("task-retry")),
        ("malformed-payload", None),
        ("internal-error", None),
        ("resource-unavailable", None),
    ] {
        let task_id = create(&taskcluster, json!({ "retries": 1 }));
        let (_, worker) = client.claim_one().await;
        worker
            .run(&task_id, 0, "exception", json!({ "reason": reason }))
            .await;
        let status = taskcluster.status(&task_id).unwrap();
        assert_eq!(status.runs[0].reason_resolved, Some(reason));
        assert_eq!(
            status.runs.get(1).map(|run| run.reason_created),
            created,
            "{reason}"
        );
        if created.is_some() {
            taskcluster.cancel_task(&task_id).unwrap();
        }
    }
}

#[tokio::test]
async fn internal_reason_is_rejected() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let response = worker
        .run(&task_id, 0, "exception", json!({ "reason": "canceled" }))
        .await;
    assert_eq!(
        (response.status, response.code()),
        (400, "InputValidationError")
    );
    assert_eq!(response.body["requestInfo"]["params"]["runId"], "0");
}

#[tokio::test]
async fn cancelled_task_is_a_conflict() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let status = taskcluster.cancel_task(&task_id).unwrap();
    assert_eq!(status.reason_resolved(), Some("canceled"));
    for verb in ["reclaim", "completed", "failed"] {
        assert_eq!(
            worker.run(&task_id, 0, verb, json!({})).await.status,
            409,
            "{verb}"
        );
    }
}

#[tokio::test]
async fn dependencies_block_a_task() {
    let (taskcluster, client) = start().await;
    let first = create(&taskcluster, json!({}));
    let strict = create(&taskcluster, json!({ "dependencies": [first] }));
    let lenient = create(
        &taskcluster,
        json!({ "dependencies": [first], "requires": "all-resolved" }),
    );
    assert_eq!(
        taskcluster.status(&strict).unwrap().state,
        TaskState::Unscheduled
    );
    let (_, worker) = client.claim_one().await;
    worker.run(&first, 0, "failed", json!({})).await;
    assert_eq!(
        taskcluster.status(&strict).unwrap().state,
        TaskState::Unscheduled
    );
    assert_eq!(
        taskcluster.status(&lenient).unwrap().state,
        TaskState::Pending
    );

    client
        .post(&format!("/api/queue/v1/task/{strict}/schedule"), json!({}))
        .await;
    assert_eq!(
        taskcluster.status(&strict).unwrap().state,
        TaskState::Pending
    );
}

#[tokio::test]
async fn rerun_adds_a_run() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({ "retries": 2 }));
    taskcluster.cancel_task(&task_id).unwrap();
    let response = client
        .post(&format!("/api/queue/v1/task/{task_id}/rerun"), json!({}))
        .await;
    assert_eq!(response.body["status"]["runs"][1]["reasonCreated"], "rerun");
    assert_eq!(response.body["status"]["retriesLeft"], 2);
    let (claim, _) = client.claim_one().await;
    assert_eq!(claim["runId"], 1);
}

#[tokio::test]
async fn all_schema_errors_are_reported() {
    let (_taskcluster, client) = start().await;
    let path = format!(
        "/api/queue/v1/task/{}",
        runtime_core::TaskId::random().as_str()
    );
    let response = client.put(&path, json!({ "payload": [], "odd": 1 })).await;
    assert_eq!(
        (response.status, response.code()),
        (400, "InputValidationError")
    );
    for part in [
        "'created'",
        "'deadline'",
        "'metadata'",
        "data/payload",
        "\"odd\"",
    ] {
        assert!(
            response.message().contains(part),
            "{part} in {}",
            response.message()
        );
    }
}

#[tokio::test]
async fn invalid_times_are_rejected() {
    let (taskcluster, _) = start().await;
    let far = later(&taskcluster, Duration::from_secs(6 * 24 * 3600));
    for wrong in [
        json!({ "created": far.clone(), "deadline": far.clone() }),
        json!({ "deadline": far }),
        json!({ "deadline": "2020-01-01T00:00:00Z" }),
    ] {
        let mut definition = json!({ "taskQueueId": crate::support::QUEUE });
        definition
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let error = taskcluster.create_task(definition).unwrap_err();
        assert_eq!(error.code.status(), 400, "{error}");
    }
}

#[tokio::test]
async fn sealed_group_rejects_tasks() {
    let (taskcluster, client) = start().await;
    let first = create(&taskcluster, json!({}));
    create(&taskcluster, json!({ "taskGroupId": first }));
    let group = format!("/api/queue/v1/task-group/{first}");
    assert!(client.post(&format!("{group}/seal"), json!({})).await.body["sealed"].is_string());
    let late = json!({ "taskQueueId": crate::support::QUEUE, "taskGroupId": first });
    assert_eq!(
        taskcluster.create_task(late).unwrap_err().code.status(),
        409
    );
    let cancelled = client.post(&format!("{group}/cancel"), json!({})).await;
    assert_eq!(cancelled.body["cancelledCount"], 2);
    let listed = client.get(&format!("{group}/list?limit=1")).await;
    assert_eq!(listed.body["tasks"].as_array().unwrap().len(), 1);
    assert!(listed.body["continuationToken"].is_string());
}

#[tokio::test]
async fn unimplemented_method_is_a_404() {
    let (_taskcluster, client) = start().await;
    for path in [
        "/api/queue/v1/provisioners",
        "/api/hooks/v1/hooks",
        "/api/queue/v2/ping",
        "/odd",
    ] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, &response.body["error"]),
            (404, &json!("Not found"))
        );
        assert!(response.message().contains("not implemented"), "{path}");
    }
}
