//! Claims and reclaims.

use std::sync::Arc;

use jiff::Timestamp;
use runtime_core::clock::instant_after;
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::{IssuingService, ServerContext};
use crate::credentials::TemporaryCredentials;
use crate::definition::Definition;
use crate::method::{HandlerFuture, Method};
use crate::scopes::Expression;
use crate::state::task::TaskSnapshot;
use crate::state::{ClaimRequest, ClaimedRun};
use crate::time::{after, millis, offset};

pub(super) const METHODS: &[Method] = &[
    Method::post_async("claimWork", "/claim-work/<taskQueueId>", claim_work)
        .with_schema(&schemas::CLAIM_WORK),
    Method::post(
        "reclaimTask",
        "/task/<taskId>/runs/<runId>/reclaim",
        reclaim_task,
    ),
    Method::post("claimTask", "/task/<taskId>/runs/<runId>/claim", claim_task)
        .with_schema(&schemas::CLAIM_TASK),
];

/// The response of `claimWork`.
#[derive(Serialize)]
struct ClaimWorkResponse {
    tasks: Vec<ClaimResponse>,
}

/// The response of `claimTask` and `reclaimTask`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimResponse {
    status: TaskSnapshot,
    run_id: u32,
    worker_group: String,
    worker_id: String,
    taken_until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Arc<Definition>>,
    credentials: TemporaryCredentials,
}

fn claim_work<'a>(context: &'a ServerContext, call: &'a Call) -> HandlerFuture<'a> {
    Box::pin(async move {
        let queue = call.param("taskQueueId");
        let (group, id) = (call.text("workerGroup"), call.text("workerId"));
        call.require(Expression::all([
            Expression::scope(format!("queue:claim-work:{queue}")),
            Expression::scope(format!("queue:worker-id:{group}/{id}")),
        ]))?;
        let max_tasks = call.payload["tasks"].as_u64().unwrap_or(1) as usize;
        let claimed = poll(context, queue, (group, id), max_tasks).await;
        let tasks = claimed
            .into_iter()
            .map(|claimed| claim_response(context, call, claimed))
            .collect();
        Reply::json(&ClaimWorkResponse { tasks })
    })
}

/// Waits for pending runs until the long poll times out or the server stops.
///
/// Dropping the future, because the client closed the connection, claims nothing: there is no await
/// between a claim and the return.
pub(crate) async fn poll(
    context: &ServerContext,
    queue: &str,
    worker: (&str, &str),
    max_tasks: usize,
) -> Vec<ClaimedRun> {
    let end = instant_after(Instant::now(), context.settings.long_poll);
    let (run_added, is_quarantined) = context.update(|state| {
        let now = context.now();
        let worker = state.workers.record_poll(queue, worker, now);
        let is_quarantined = worker.is_quarantined(now);
        (Arc::clone(&state.queue(queue).run_added), is_quarantined)
    });
    if is_quarantined {
        // The same delay as without tasks, so that the worker does not poll in a busy loop.
        let _ = timeout_at(end, context.stopping.cancelled()).await;
        return Vec::new();
    }
    loop {
        // Enabled before the queue is read: a run that is added in between is not lost.
        let notified = run_added.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let claimed = claim_pending(context, queue, worker, max_tasks);
        if !claimed.is_empty() {
            return claimed;
        }
        tokio::select! {
            // Another worker may be faster: then the loop claims nothing and waits again.
            () = notified => {}
            () = sleep_until(end) => return claimed,
            () = context.stopping.cancelled() => return claimed,
        }
    }
}

fn claim_pending(
    context: &ServerContext,
    queue: &str,
    worker: (&str, &str),
    max_tasks: usize,
) -> Vec<ClaimedRun> {
    // An update that claims nothing would still be written to the journal.
    if context.read(|state| state.queues.get(queue).is_none_or(|queue| queue.len() == 0)) {
        return Vec::new();
    }
    let now = context.now();
    let claim = ClaimRequest {
        worker_group: worker.0,
        worker_id: worker.1,
        taken_until: after(now, context.settings.claim_timeout),
        now,
    };
    context.update(|state| {
        let claimed: Vec<_> = std::iter::from_fn(|| state.claim_next(queue, claim))
            .take(max_tasks)
            .collect();
        let worker = state.workers.record_activity(queue, worker, now);
        for run in &claimed {
            worker.record_claim(&run.status.task_id, run.run_id);
        }
        claimed
    })
}

fn claim_task(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    let (group, id) = (call.text("workerGroup"), call.text("workerId"));
    let queue = context.read(|state| {
        let task = state.task(task_id);
        task.map(|task| task.definition.task_queue_id.clone())
    })?;
    call.require(Expression::all([
        Expression::scope(format!("queue:claim-task:{queue}")),
        Expression::scope(format!("queue:worker-id:{group}/{id}")),
    ]))?;
    let claim = ClaimRequest {
        worker_group: group,
        worker_id: id,
        taken_until: after(call.now, context.settings.claim_timeout),
        now: call.now,
    };
    let claimed = context.update(|state| state.claim_run(task_id, call.run_id(), claim))?;
    Reply::json(&claim_response(context, call, claimed))
}

fn reclaim_task(context: &ServerContext, call: &Call) -> ApiResult {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    // An unknown task is a 404 even for callers without the scope, as in the real queue.
    context.read(|state| state.task(task_id).map(|_| ()))?;
    call.require_scope(format!("queue:reclaim-task:{task_id}/{run_id}"))?;
    let taken_until = after(call.now, context.settings.claim_timeout);
    let claimed = context.update(|state| state.reclaim(task_id, run_id, taken_until, call.now))?;
    let mut response = claim_response(context, call, claimed);
    // Unlike a claim, a reclaim does not repeat the task and has another format of the time.
    response.task = None;
    response.taken_until = millis(taken_until);
    Reply::json(&response)
}

fn claim_response(context: &ServerContext, call: &Call, claimed: ClaimedRun) -> ClaimResponse {
    let run = &claimed.status.runs[claimed.run_id as usize];
    let taken_until = run.taken_until.unwrap_or(call.now);
    let worker_group = run.worker_group.clone().unwrap_or_default();
    let worker_id = run.worker_id.clone().unwrap_or_default();
    let worker = format!("{worker_group}/{worker_id}");
    ClaimResponse {
        credentials: task_credentials(context, call, &claimed, &worker, taken_until),
        run_id: claimed.run_id,
        worker_group,
        worker_id,
        taken_until: offset(taken_until),
        task: Some(claimed.definition),
        status: claimed.status,
    }
}

/// Issues the credentials of a run: the scopes of the task, and those to reclaim and resolve it.
fn task_credentials(
    context: &ServerContext,
    call: &Call,
    claimed: &ClaimedRun,
    worker: &str,
    taken_until: Timestamp,
) -> TemporaryCredentials {
    let (task_id, run_id) = (&claimed.status.task_id, claimed.run_id);
    let run_scopes = ["reclaim-task", "resolve-task", "create-artifact"]
        .map(|action| format!("queue:{action}:{task_id}/{run_id}"));
    let task_scopes = claimed.definition.scopes.iter().cloned();
    let client_id = format!(
        "task-client/{task_id}/{run_id}/on/{worker}/until/{}",
        taken_until.as_millisecond() as f64 / 1000.0,
    );
    // The credentials start now, not at `call.now`, which is before the long poll.
    let lifetime = call.credentials_lifetime(context.now(), taken_until);
    let scopes = run_scopes.into_iter().chain(task_scopes).collect();
    context.issue(IssuingService::Queue, client_id, scopes, lifetime)
}
