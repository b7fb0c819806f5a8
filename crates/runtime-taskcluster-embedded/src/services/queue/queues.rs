//! Task queues with their pending and claimed tasks, and batch reads of tasks.

use runtime_core::queue::TaskState;
use serde::Deserialize;
use serde_json::{Value, json};

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::definition::Priority;
use crate::error::RequestError;
use crate::method::Method;
use crate::scopes::Expression;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get("pendingTasks", "/pending/<taskQueueId>", pending_tasks),
    Method::get(
        "taskQueueCounts",
        "/task-queues/<taskQueueId>/counts",
        task_queue_counts,
    ),
    Method::get(
        "listPendingTasks",
        "/task-queues/<taskQueueId>/pending",
        list_pending_tasks,
    ),
    Method::get(
        "listClaimedTasks",
        "/task-queues/<taskQueueId>/claimed",
        list_claimed_tasks,
    ),
    Method::post("tasks", "/tasks", tasks).with_schema(&schemas::TASKS),
    Method::post("statuses", "/tasks/status", statuses).with_schema(&schemas::TASKS),
    Method::post(
        "changeTaskPriority",
        "/task/<taskId>/priority",
        change_task_priority,
    )
    .with_schema(&schemas::CHANGE_PRIORITY),
];

/// Returns the names of the queue, and the numbers of pending and claimed tasks.
fn counts(context: &ServerContext, queue: &str) -> (Value, usize, usize) {
    let (provisioner, worker_type) = queue.split_once('/').unwrap_or((queue, ""));
    let body =
        json!({ "provisionerId": provisioner, "workerType": worker_type, "taskQueueId": queue });
    let counts = context.read(|state| {
        state
            .queues
            .get(queue)
            .map(|queue| (queue.len(), queue.claimed))
    });
    let (pending, claimed) = counts.unwrap_or_default();
    (body, pending, claimed)
}

fn pending_tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:pending-count:{queue}"))?;
    let (mut body, pending, _) = counts(context, queue);
    body["pendingTasks"] = json!(pending);
    Reply::json(&body)
}

fn task_queue_counts(context: &ServerContext, call: &Call) -> ApiResult {
    let queue = call.param("taskQueueId");
    call.require(Expression::all([
        Expression::scope(format!("queue:pending-count:{queue}")),
        Expression::scope(format!("queue:claimed-count:{queue}")),
    ]))?;
    let (mut body, pending, claimed) = counts(context, queue);
    body["pendingTasks"] = json!(pending);
    body["claimedTasks"] = json!(claimed);
    Reply::json(&body)
}

fn list_pending_tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:pending-list:{queue}"))?;
    let page = context.read(|state| {
        let runs = state
            .queues
            .get(queue)
            .into_iter()
            .flat_map(|queue| queue.iter());
        call.page(runs).filter_map(|(task_id, run_id)| {
            let task = state.tasks.get(task_id)?;
            Ok(task.and_then(|task| {
                let inserted = millis(task.run(*run_id)?.status.scheduled);
                Some(json!({
                    "taskId": task_id,
                    "runId": run_id,
                    "task": *task.definition,
                    "inserted": inserted,
                }))
            }))
        })
    })?;
    Reply::page("tasks", &page)
}

fn list_claimed_tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:claimed-list:{queue}"))?;
    let page = context.read(|state| {
        let running = state.tasks.in_memory().filter(|task| {
            task.definition.task_queue_id == queue && task.state() == TaskState::Running
        });
        call.page(running).filter_map(|task| {
            let run = task.runs.last().map(|run| &run.status);
            Ok(run.and_then(|run| {
                Some(json!({
                    "taskId": task.id,
                    "runId": run.run_id,
                    "workerGroup": run.worker_group,
                    "workerId": run.worker_id,
                    "claimed": millis(run.started?),
                    "task": *task.definition,
                }))
            }))
        })
    })?;
    Reply::page("tasks", &page)
}

/// Returns the task ids of the payload if the caller has the scope for each.
fn requested_ids<'a>(call: &'a Call, scope: &str) -> Result<Vec<&'a str>, RequestError> {
    let ids = call.payload["taskIds"].as_array().into_iter().flatten();
    let ids: Vec<_> = ids.filter_map(Value::as_str).collect();
    call.require(Expression::all(
        ids.iter()
            .map(|id| Expression::scope(format!("queue:{scope}:{id}"))),
    ))?;
    Ok(ids)
}

fn tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let ids = requested_ids(call, "get-task")?;
    let page = context.read(|state| {
        call.page(ids.iter()).filter_map(|id| {
            let task = state.tasks.get(id)?;
            Ok(task.map(|task| json!({ "taskId": task.id, "task": *task.definition })))
        })
    })?;
    Reply::page("tasks", &page)
}

fn statuses(context: &ServerContext, call: &Call) -> ApiResult {
    let ids = requested_ids(call, "status")?;
    let page = context.read(|state| {
        call.page(ids.iter()).filter_map(|id| {
            let task = state.tasks.get(id)?;
            Ok(task.map(|task| json!({ "taskId": task.id, "status": task.status() })))
        })
    })?;
    Reply::page("statuses", &page)
}

fn change_task_priority(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    let queue = context.read(|state| {
        state
            .task(task_id)
            .map(|task| task.definition.task_queue_id.clone())
    })?;
    call.require(Expression::any([
        Expression::scope(format!("queue:change-task-priority:{task_id}")),
        Expression::scope(format!("queue:change-task-priority-in-queue:{queue}")),
    ]))?;
    let priority = Priority::deserialize(&call.payload["newPriority"]).unwrap_or(Priority::Lowest);
    Reply::task_status(&context.update(|state| state.change_priority(task_id, priority))?)
}
