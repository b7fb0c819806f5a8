//! Claims: who gets which task, for how long, and what happens when time runs out.

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use runtime_taskcluster_embedded::{TaskState, Taskcluster};
use serde_json::json;
use support::{Client, create, start};

#[tokio::test]
async fn a_claim_that_expires_gives_the_task_to_the_next_worker() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, lost) = client.claim_one().await;
    taskcluster.advance(Duration::from_secs(20 * 60));

    let status = taskcluster.status(&task_id).unwrap();
    assert_eq!(status.runs[0].reason_resolved, Some("claim-expired"));
    assert_eq!((status.state, status.retries_left), (TaskState::Pending, 4));
    let (second, _) = client.claim_one().await;
    assert_eq!(second["runId"], 1);
    let late = lost.run(&task_id, 0, "reclaim", json!({})).await;
    assert_eq!((late.status, late.code()), (409, "RequestConflict"));
}

#[tokio::test]
async fn a_reclaim_keeps_the_task_beyond_the_first_claim() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    taskcluster.advance(Duration::from_secs(15 * 60));
    assert_eq!(
        worker.run(&task_id, 0, "reclaim", json!({})).await.status,
        200
    );
    taskcluster.advance(Duration::from_secs(15 * 60));
    assert_eq!(
        taskcluster.status(&task_id).unwrap().state,
        TaskState::Running
    );
}

#[tokio::test]
async fn a_task_without_retries_ends_when_its_claim_expires() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({ "retries": 0 }));
    client.claim_one().await;
    taskcluster.advance(Duration::from_secs(20 * 60));
    let status = taskcluster.status(&task_id).unwrap();
    assert_eq!(status.state, TaskState::Exception);
    assert_eq!(status.reason_resolved(), Some("claim-expired"));
}

#[tokio::test]
async fn a_claim_expires_by_itself_without_anybody_looking() {
    let builder = Taskcluster::builder().claim_timeout(Duration::from_millis(100));
    let taskcluster = builder.start().await.unwrap();
    let task_id = create(&taskcluster, json!({ "retries": 0 }));
    Client::root(&taskcluster).claim_one().await;
    let status = taskcluster.wait_until_resolved(&task_id).await.unwrap();
    assert_eq!(status.reason_resolved(), Some("claim-expired"));
}

#[tokio::test]
async fn late_reports_are_accepted_until_the_resolver_runs() {
    let builder = Taskcluster::builder().resolver_delay(Duration::from_secs(5));
    let taskcluster = builder.start().await.unwrap();
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = Client::root(&taskcluster).claim_one().await;
    taskcluster.advance(Duration::from_secs(20 * 60 + 2));
    assert_eq!(
        worker.run(&task_id, 0, "completed", json!({})).await.status,
        200
    );
}

#[tokio::test]
async fn old_credentials_are_refused_after_their_leeway() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    taskcluster.advance(Duration::from_secs(26 * 60));
    let late = worker.run(&task_id, 0, "reclaim", json!({})).await;
    assert_eq!((late.status, late.code()), (401, "AuthenticationFailed"));
}

#[tokio::test]
async fn a_poll_wakes_when_a_task_appears() {
    let taskcluster = Taskcluster::start().await.unwrap();
    let client = Client::root(&taskcluster);
    let poll = tokio::spawn(async move { client.claim(1).await });
    tokio::task::yield_now().await;
    let start = Instant::now();
    let task_id = create(&taskcluster, json!({}));
    let claims = poll.await.unwrap();
    assert_eq!(claims[0]["status"]["taskId"], task_id);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "the poll slept through the arrival"
    );
}

#[tokio::test]
async fn waiting_workers_get_every_task_exactly_once() {
    let taskcluster = Taskcluster::start().await.unwrap();
    let client = Client::root(&taskcluster);
    let polls: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.claim(1).await })
        })
        .collect();
    let created: HashSet<String> = (0..8).map(|_| create(&taskcluster, json!({}))).collect();
    let mut claimed = HashSet::new();
    for poll in polls {
        for claim in poll.await.unwrap() {
            let task_id = claim["status"]["taskId"].as_str().unwrap().to_owned();
            assert!(claimed.insert(task_id), "a task was handed out twice");
        }
    }
    assert_eq!(claimed, created);
}

#[tokio::test]
async fn urgent_tasks_come_first_and_equal_ones_in_order() {
    let (taskcluster, client) = start().await;
    let low = create(&taskcluster, json!({ "priority": "low" }));
    let first = create(&taskcluster, json!({ "priority": "high" }));
    let second = create(&taskcluster, json!({ "priority": "high" }));
    let claims = client.claim(3).await;
    let order: Vec<_> = claims
        .iter()
        .map(|claim| claim["status"]["taskId"].as_str().unwrap())
        .collect();
    assert_eq!(order, [first, second, low]);
}

#[tokio::test]
async fn a_new_priority_moves_a_pending_task() {
    let (taskcluster, client) = start().await;
    create(&taskcluster, json!({ "priority": "medium" }));
    let moved = create(&taskcluster, json!({ "priority": "low" }));
    let path = format!("/api/queue/v1/task/{moved}/priority");
    let answer = client.post(&path, json!({ "newPriority": "high" })).await;
    assert_eq!(answer.body["status"]["priority"], "high");
    let (claim, _) = client.claim_one().await;
    assert_eq!(claim["status"]["taskId"], moved);
}

#[tokio::test]
async fn a_worker_in_quarantine_gets_nothing() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.quarantine_worker(support::QUEUE, "group", "worker", Duration::from_secs(60));
    assert!(client.claim(1).await.is_empty());
    taskcluster.advance(Duration::from_secs(61));
    assert_eq!(client.claim(1).await[0]["status"]["taskId"], task_id);
}

#[tokio::test]
async fn a_stop_answers_waiting_polls_at_once() {
    let taskcluster = Taskcluster::start().await.unwrap();
    let client = Client::root(&taskcluster);
    let waiting = client.clone();
    let poll = tokio::spawn(async move { waiting.claim(1).await });
    // The poll has reached the queue when the worker is known there.
    let path = "/api/queue/v1/provisioners/test/worker-types/linux/workers/group/worker";
    while client.get(path).await.status != 200 {}
    let start = Instant::now();
    taskcluster.stop().await;
    assert!(poll.await.unwrap().is_empty());
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the stop waited for the poll"
    );
}

#[tokio::test]
async fn a_past_deadline_ends_pending_and_running_tasks() {
    let (taskcluster, client) = start().await;
    let running = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    let pending = create(&taskcluster, json!({}));
    taskcluster.advance(Duration::from_secs(19 * 60));
    worker.run(&running, 0, "reclaim", json!({})).await;
    taskcluster.advance(Duration::from_secs(19 * 60));
    worker.run(&running, 0, "reclaim", json!({})).await;
    taskcluster.advance(Duration::from_secs(25 * 60));
    for task_id in [running, pending] {
        let status = taskcluster.status(&task_id).unwrap();
        assert_eq!(status.state, TaskState::Exception);
    }
    assert!(client.claim(1).await.is_empty());
}
