//! The workers of a task queue and their quarantine.

use std::time::Duration;

use serde_json::{Value, json};

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::state::workers::QueueWorker;
use crate::time::{after, millis};

const WORKERS_PATH: &str = "/provisioners/<provisionerId>/worker-types/<workerType>/workers";
const WORKER_PATH: &str =
    "/provisioners/<provisionerId>/worker-types/<workerType>/workers/<workerGroup>/<workerId>";

pub(super) const METHODS: &[Method] = &[
    Method::get("listWorkers", WORKERS_PATH, list_workers),
    Method::get("getWorker", WORKER_PATH, get_worker),
    Method::put("quarantineWorker", WORKER_PATH, quarantine_worker)
        .with_schema(&schemas::QUARANTINE_WORKER),
];

/// The time after which a real queue forgets an idle worker. This queue never does.
const IDLE_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);

fn queue_id(call: &Call) -> String {
    format!(
        "{}/{}",
        call.param("provisionerId"),
        call.param("workerType")
    )
}

fn list_workers(context: &ServerContext, call: &Call) -> ApiResult {
    let queue = queue_id(call);
    call.require_scope(format!("queue:list-workers:{queue}"))?;
    let quarantined = call.query("quarantined").map(|text| text == "true");
    let page = context.read(|state| {
        let workers = state.workers.of_queue(&queue);
        let selected = workers.filter(|(_, worker)| {
            quarantined.is_none_or(|wanted| wanted == worker.is_quarantined(call.now))
        });
        call.page(selected.map(|((_, group, id), worker)| summary(group, id, worker)))
    });
    Reply::page("workers", &page)
}

fn summary(group: &str, id: &str, worker: &QueueWorker) -> Value {
    let mut body = json!({
        "workerGroup": group,
        "workerId": id,
        "firstClaim": millis(worker.first_claim),
        "lastDateActive": millis(worker.last_active),
    });
    if let Some((task_id, run_id)) = worker.recent_tasks.back() {
        body["latestTask"] = json!({ "taskId": task_id, "runId": run_id });
    }
    add_quarantine(&mut body, worker);
    body
}

fn add_quarantine(body: &mut Value, worker: &QueueWorker) {
    if let Some(until) = worker.quarantine_until {
        body["quarantineUntil"] = json!(millis(until));
    }
}

fn details(call: &Call, worker: &QueueWorker) -> Value {
    let recent: Vec<_> = worker
        .recent_tasks
        .iter()
        .map(|(task_id, run_id)| json!({ "taskId": task_id, "runId": run_id }))
        .collect();
    let mut body = json!({
        "provisionerId": call.param("provisionerId"),
        "workerType": call.param("workerType"),
        "taskQueueId": queue_id(call),
        "workerGroup": call.param("workerGroup"),
        "workerId": call.param("workerId"),
        "recentTasks": recent,
        "expires": millis(after(worker.last_active, IDLE_EXPIRY)),
        "firstClaim": millis(worker.first_claim),
        "lastDateActive": millis(worker.last_active),
    });
    add_quarantine(&mut body, worker);
    body
}

fn require_worker_scope(call: &Call, action: &str) -> Result<(), RequestError> {
    let (group, id) = (call.param("workerGroup"), call.param("workerId"));
    call.require_scope(format!(
        "queue:{action}-worker:{}/{group}/{id}",
        queue_id(call)
    ))
}

fn get_worker(context: &ServerContext, call: &Call) -> ApiResult {
    require_worker_scope(call, "get")?;
    let (group, id) = (call.param("workerGroup"), call.param("workerId"));
    let body = context.read(|state| {
        state
            .workers
            .get(&queue_id(call), group, id)
            .map(|worker| details(call, worker))
    });
    Reply::json(&body.ok_or_else(|| {
        RequestError::not_found(format!(
            "Worker `{group}/{id}` of `{}` not found",
            queue_id(call)
        ))
    })?)
}

fn quarantine_worker(context: &ServerContext, call: &Call) -> ApiResult {
    require_worker_scope(call, "quarantine")?;
    let name = (call.param("workerGroup"), call.param("workerId"));
    let until = call.instant("quarantineUntil");
    let body = context.update(|state| {
        let worker = state
            .workers
            .record_activity(&queue_id(call), name, call.now);
        worker.quarantine_until = Some(until);
        details(call, worker)
    });
    Reply::json(&body)
}
