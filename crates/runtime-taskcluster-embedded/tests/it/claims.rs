//! Claims, reclaims, expiry and deadlines.

use std::collections::HashSet;
use std::future::Future as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use crate::support::{Client, QUEUE, create, start};
use runtime_taskcluster_embedded::{TaskState, Taskcluster};
use serde_json::json;

#[tokio::test]
async fn expired_claim_is_retried() {
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
async fn reclaim_extends_the_claim() {
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
async fn expired_claim_without_retries_is_final() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({ "retries": 0 }));
    client.claim_one().await;
    taskcluster.advance(Duration::from_secs(20 * 60));
    let status = taskcluster.status(&task_id).unwrap();
    assert_eq!(status.state, TaskState::Exception);
    assert_eq!(status.reason_resolved(), Some("claim-expired"));
}

#[tokio::test]
async fn claim_expires_in_real_time() {
    let builder = Taskcluster::builder().claim_timeout(Duration::from_millis(100));
    let taskcluster = builder.start().await.unwrap();
    let task_id = create(&taskcluster, json!({ "retries": 0 }));
    Client::root(&taskcluster).claim_one().await;
    let status = taskcluster.wait_until_resolved(&task_id).await.unwrap();
    assert_eq!(status.reason_resolved(), Some("claim-expired"));
}

#[tokio::test]
async fn resolver_delay_accepts_late_reports() {
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
async fn expired_credentials_are_rejected_after_leeway() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    let (_, worker) = client.claim_one().await;
    taskcluster.advance(Duration::from_secs(26 * 60));
    let late = worker.run(&task_id, 0, "reclaim", json!({})).await;
    assert_eq!((late.status, late.code()), (401, "AuthenticationFailed"));
}

#[tokio::test]
async fn new_task_wakes_a_poll() {
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
async fn concurrent_polls_claim_each_task_once() {
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
async fn tasks_are_ordered_by_priority_then_age() {
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
async fn priority_change_moves_a_pending_task() {
    let (taskcluster, client) = start().await;
    create(&taskcluster, json!({ "priority": "medium" }));
    let moved = create(&taskcluster, json!({ "priority": "low" }));
    let path = format!("/api/queue/v1/task/{moved}/priority");
    let response = client.post(&path, json!({ "newPriority": "high" })).await;
    assert_eq!(response.body["status"]["priority"], "high");
    let (claim, _) = client.claim_one().await;
    assert_eq!(claim["status"]["taskId"], moved);
}

#[tokio::test]
async fn quarantined_worker_gets_no_tasks() {
    let (taskcluster, client) = start().await;
    let task_id = create(&taskcluster, json!({}));
    taskcluster.quarantine_worker(
        crate::support::QUEUE,
        "group",
        "worker",
        Duration::from_secs(60),
    );
    assert!(client.claim(1).await.is_empty());
    taskcluster.advance(Duration::from_secs(61));
    assert_eq!(client.claim(1).await[0]["status"]["taskId"], task_id);
}

#[tokio::test]
async fn stop_ends_waiting_polls() {
    let taskcluster = Taskcluster::start().await.unwrap();
    let client = Client::root(&taskcluster);
    let waiting = client.clone();
    let poll = tokio::spawn(async move { waiting.claim(1).await });
    // The queue records the worker when its poll begins.
    let path = "/api/queue/v1/provisioners/test/worker-types/linux/workers/group/worker";
    let recorded = async { while client.get(path).await.status != 200 {} };
    let recorded = tokio::time::timeout(Duration::from_secs(60), recorded);
    recorded.await.expect("the queue records the worker");
    let start = Instant::now();
    taskcluster.stop().await;
    assert!(poll.await.unwrap().is_empty());
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "the stop waited for the poll"
    );
}

#[tokio::test]
async fn deadline_resolves_pending_and_running_tasks() {
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

/// Counts the wakes of all futures that it polls.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn new_task_wakes_the_worker_that_waits_longest() {
    let (taskcluster, _) = start().await;
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    let ids: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    let polls = ids
        .iter()
        .map(|id| Box::pin(taskcluster.claim_work(QUEUE, "group", id, 1)));
    let mut polls: Vec<_> = polls.collect();
    for poll in &mut polls {
        assert!(poll.as_mut().poll(&mut context).is_pending());
    }
    for (n, poll) in polls.iter_mut().enumerate().take(3) {
        let task_id = create(&taskcluster, json!({}));
        assert_eq!(wakes.0.load(Ordering::Relaxed), n + 1);
        let claimed = poll.await.unwrap();
        assert_eq!((claimed.len(), &claimed[0].task_id), (1, &task_id));
        let worker_id = &claimed[0].runs[0].worker_id;
        assert_eq!(worker_id.as_ref(), Some(&ids[n]));
    }
}
