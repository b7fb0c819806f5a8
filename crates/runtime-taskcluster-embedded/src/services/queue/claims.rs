//! Claims: how workers get tasks, and keep them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::schemas;
use crate::call::{Call, Reply};
use crate::credentials::TemporaryCredentials;
use crate::definition::Definition;
use crate::error::RequestError;
use crate::router::{Method, Pending, Work};
use crate::scopes::Expression;
use crate::shared::{Service, Shared};
use crate::state::task::TaskStatus;
use crate::state::{Claim, Claimed};
use crate::time::{after, before, millis, offset};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "claimWork"),
        ("POST", "/claim-work/<taskQueueId>"),
        Work::Later(claim_work),
    )
    .takes(&schemas::CLAIM_WORK),
    Method::new(
        ("queue", "reclaimTask"),
        ("POST", "/task/<taskId>/runs/<runId>/reclaim"),
        Work::Now(reclaim_task),
    ),
    Method::new(
        ("queue", "claimTask"),
        ("POST", "/task/<taskId>/runs/<runId>/claim"),
        Work::Now(claim_task),
    )
    .takes(&schemas::CLAIM_TASK),
];

/// What a worker gets from a poll.
#[derive(Serialize)]
struct ClaimWorkAnswer {
    tasks: Vec<ClaimAnswer>,
}

/// What a worker gets with a claim.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimAnswer {
    status: TaskStatus,
    run_id: u32,
    worker_group: String,
    worker_id: String,
    taken_until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Arc<Definition>>,
    credentials: TemporaryCredentials,
}

fn claim_work<'a>(shared: &'a Shared, call: &'a Call) -> Pending<'a> {
    Box::pin(async move {
        let (queue, group, id) = (
            call.param("taskQueueId"),
            call.text("workerGroup"),
            call.text("workerId"),
        );
        call.require(Expression::all([
            Expression::scope(format!("queue:claim-work:{queue}")),
            Expression::scope(format!("queue:worker-id:{group}/{id}")),
        ]))?;
        let wanted = call.payload["tasks"].as_u64().unwrap_or(1) as usize;
        let claims = poll(shared, queue, (group, id), wanted).await;
        let tasks = claims
            .into_iter()
            .map(|claim| immediate_claim_timeout(shared, call, claim))
            .collect();
        Reply::json(&ClaimWorkAnswer { tasks })
    })
}

/// Waits until something is pending, or until the long poll or everything ends.
///
/// Dropping the future claims nothing: what is claimed is returned without another await.
async fn poll(shared: &Shared, queue: &str, worker: (&str, &str), wanted: usize) -> Vec<Claimed> {
    let end = Instant::now() + shared.settings.long_poll;
    let (arrived, quarantined) = shared.update(|state| {
        let now = shared.now();
        let quarantined = state.workers.seen(queue, worker, now).is_quarantined(now);
        (Arc::clone(&state.queue(queue).arrived), quarantined)
    });
    if quarantined {
        let _ = timeout_at(end, shared.stopping.cancelled()).await;
        return Vec::new();
    }
    loop {
        let arrival = arrived.notified();
        tokio::pin!(arrival);
        arrival.as_mut().enable();
        let claims = take(shared, queue, worker, wanted);
        if !claims.is_empty() {
            return claims;
        }
        tokio::select! {
            () = arrival => {}
            () = sleep_until(end) => return claims,
            () = shared.stopping.cancelled() => return claims,
        }
    }
}

fn take(shared: &Shared, queue: &str, worker: (&str, &str), wanted: usize) -> Vec<Claimed> {
    if shared.read(|state| state.queues.get(queue).is_none_or(|queue| queue.len() == 0)) {
        return Vec::new();
    }
    let now = shared.now();
    let until = after(now, shared.settings.claim_timeout);
    let claim = Claim {
        worker_group: worker.0,
        worker_id: worker.1,
        until,
        now,
    };
    shared.update(|state| {
        let claims: Vec<_> = std::iter::from_fn(|| state.claim_next(queue, claim))
            .take(wanted)
            .collect();
        let note = state.workers.seen(queue, worker, now);
        claims
            .iter()
            .for_each(|claim| note.claimed(&claim.status.task_id, claim.run_id));
        claims
    })
}

fn claim_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (task_id, group, id) = (
        call.param("taskId"),
        call.text("workerGroup"),
        call.text("workerId"),
    );
    let queue = shared.read(|state| {
        state
            .task(task_id)
            .map(|task| task.definition.task_queue_id.clone())
    })?;
    call.require(Expression::all([
        Expression::scope(format!("queue:claim-task:{queue}")),
        Expression::scope(format!("queue:worker-id:{group}/{id}")),
    ]))?;
    let until = after(call.now, shared.settings.claim_timeout);
    let claim = Claim {
        worker_group: group,
        worker_id: id,
        until,
        now: call.now,
    };
    let claimed = shared.update(|state| state.claim_run(task_id, call.run_id(), claim))?;
    Reply::json(&immediate_claim_timeout(shared, call, claimed))
}

fn reclaim_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    shared.read(|state| state.task(task_id).map(|_| ()))?;
    call.require_scope(format!("queue:reclaim-task:{task_id}/{run_id}"))?;
    let until = after(call.now, shared.settings.claim_timeout);
    let claimed = shared.update(|state| state.reclaim(task_id, run_id, until, call.now))?;
    let mut answer = immediate_claim_timeout(shared, call, claimed);
    answer.task = None;
    answer.taken_until = millis(until);
    Reply::json(&answer)
}

fn immediate_claim_timeout(shared: &Shared, call: &Call, claimed: Claimed) -> ClaimAnswer {
    let run = &claimed.status.runs[claimed.run_id as usize];
    let taken_until = run.taken_until.unwrap_or(call.now);
    let worker_group = run.worker_group.clone().unwrap_or_default();
    let worker_id = run.worker_id.clone().unwrap_or_default();
    let credentials = task_credentials(shared, call, &claimed, taken_until);
    ClaimAnswer {
        run_id: claimed.run_id,
        worker_group,
        worker_id,
        taken_until: offset(taken_until),
        task: Some(claimed.definition),
        credentials,
        status: claimed.status,
    }
}

/// The credentials of a run: to keep it, resolve it, add artifacts, and whatever the task may do.
fn task_credentials(
    shared: &Shared,
    call: &Call,
    claimed: &Claimed,
    until: Timestamp,
) -> TemporaryCredentials {
    let task_id = &claimed.status.task_id;
    let run = &claimed.status.runs[claimed.run_id as usize];
    let run_id = claimed.run_id;
    let own = ["reclaim-task", "resolve-task", "create-artifact"];
    let own = own
        .iter()
        .map(|power| format!("queue:{power}:{task_id}/{run_id}"));
    let scopes = own
        .chain(claimed.definition.scopes.iter().cloned())
        .collect();
    let client_id = format!(
        "task-client/{task_id}/{run_id}/on/{}/{}/until/{}",
        run.worker_group.as_deref().unwrap_or_default(),
        run.worker_id.as_deref().unwrap_or_default(),
        until.as_millisecond() as f64 / 1000.0,
    );
    let lifetime = match call.quirks.expired_credentials {
        false => (shared.now(), until),
        true => (before(call.now, HOUR * 2), before(call.now, HOUR)),
    };
    shared.issue(Service::Queue, client_id, scopes, lifetime)
}

const HOUR: Duration = Duration::from_secs(60 * 60);
