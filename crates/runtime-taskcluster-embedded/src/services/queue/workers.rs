//! The workers of a task queue, and their quarantine.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::schemas;
use crate::call::{Call, Reply, paginate};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::shared::Shared;
use crate::state::workers::Worker;
use crate::time::{after, millis};

const ALL: &str = "/provisioners/<provisionerId>/worker-types/<workerType>/workers";
const ONE: &str =
    "/provisioners/<provisionerId>/worker-types/<workerType>/workers/<workerGroup>/<workerId>";

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "listWorkers"),
        ("GET", ALL),
        Work::Now(list_workers),
    ),
    Method::new(("queue", "getWorker"), ("GET", ONE), Work::Now(get_worker)),
    Method::new(
        ("queue", "quarantineWorker"),
        ("PUT", ONE),
        Work::Now(quarantine_worker),
    )
    .takes(&schemas::QUARANTINE_WORKER),
];

/// How long an idle worker is remembered, as the answers say; this queue never forgets one.
const MEMORY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

fn queue(call: &Call) -> String {
    format!(
        "{}/{}",
        call.param("provisionerId"),
        call.param("workerType")
    )
}

fn list_workers(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let queue = queue(call);
    call.require_scope(format!("queue:list-workers:{queue}"))?;
    let wanted = call.query("quarantined").map(|text| text == "true");
    let (page, next) = shared.read(|state| {
        let workers = state.workers.of_queue(&queue);
        let wanted = workers
            .filter(|(_, worker)| wanted.is_none_or(|q| q == worker.is_quarantined(call.now)));
        paginate(
            wanted.map(|((group, id), worker)| summary(group, id, worker)),
            call.page(),
        )
    });
    let mut body = json!({ "workers": page });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}

fn summary(group: &str, id: &str, worker: &Worker) -> Value {
    let mut body = json!({
        "workerGroup": group,
        "workerId": id,
        "firstClaim": millis(worker.first_claim),
        "lastDateActive": millis(worker.last_active),
    });
    if let Some((task_id, run_id)) = worker.recent.back() {
        body["latestTask"] = json!({ "taskId": task_id, "runId": run_id });
    }
    quarantine(&mut body, worker);
    body
}

fn quarantine(body: &mut Value, worker: &Worker) {
    if let Some(until) = worker.quarantine_until {
        body["quarantineUntil"] = json!(millis(until));
    }
}

fn details(call: &Call, worker: &Worker) -> Value {
    let recent: Vec<_> = worker
        .recent
        .iter()
        .map(|(task_id, run_id)| json!({ "taskId": task_id, "runId": run_id }))
        .collect();
    let mut body = json!({
        "provisionerId": call.param("provisionerId"),
        "workerType": call.param("workerType"),
        "taskQueueId": queue(call),
        "workerGroup": call.param("workerGroup"),
        "workerId": call.param("workerId"),
        "recentTasks": recent,
        "expires": millis(after(worker.last_active, MEMORY)),
        "firstClaim": millis(worker.first_claim),
        "lastDateActive": millis(worker.last_active),
    });
    quarantine(&mut body, worker);
    body
}

fn require_to(call: &Call, verb: &str) -> Result<(), RequestError> {
    let (group, id) = (call.param("workerGroup"), call.param("workerId"));
    call.require_scope(format!("queue:{verb}-worker:{}/{group}/{id}", queue(call)))
}

fn get_worker(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(call, "get")?;
    let (group, id) = (call.param("workerGroup"), call.param("workerId"));
    let body = shared.read(|state| {
        state
            .workers
            .get(&queue(call), group, id)
            .map(|worker| details(call, worker))
    });
    Reply::json(&body.ok_or_else(|| {
        RequestError::not_found(format!(
            "Worker `{group}/{id}` of `{}` was never seen",
            queue(call)
        ))
    })?)
}

fn quarantine_worker(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(call, "quarantine")?;
    let name = (call.param("workerGroup"), call.param("workerId"));
    let until: Timestamp = call.instant("quarantineUntil");
    let body = shared.update(|state| {
        let worker = state.workers.seen(&queue(call), name, call.now);
        worker.quarantine_until = Some(until);
        details(call, worker)
    });
    Reply::json(&body)
}
