//! Task queues: what is pending, what is claimed; and tasks by the dozen.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{schemas, status_reply};
use crate::call::{Call, Reply, paginate};
use crate::definition::Priority;
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::state::task::TaskState;
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "pendingTasks"),
        ("GET", "/pending/<taskQueueId>"),
        Work::Now(pending_tasks),
    ),
    Method::new(
        ("queue", "taskQueueCounts"),
        ("GET", "/task-queues/<taskQueueId>/counts"),
        Work::Now(task_queue_counts),
    ),
    Method::new(
        ("queue", "listPendingTasks"),
        ("GET", "/task-queues/<taskQueueId>/pending"),
        Work::Now(list_pending_tasks),
    ),
    Method::new(
        ("queue", "listClaimedTasks"),
        ("GET", "/task-queues/<taskQueueId>/claimed"),
        Work::Now(list_claimed_tasks),
    ),
    Method::new(("queue", "tasks"), ("POST", "/tasks"), Work::Now(tasks)).takes(&schemas::TASKS),
    Method::new(
        ("queue", "statuses"),
        ("POST", "/tasks/status"),
        Work::Now(statuses),
    )
    .takes(&schemas::TASKS),
    Method::new(
        ("queue", "changeTaskPriority"),
        ("POST", "/task/<taskId>/priority"),
        Work::Now(change_task_priority),
    )
    .takes(&schemas::CHANGE_PRIORITY),
];

/// The queue in three spellings, and how much is pending and claimed.
fn counts(shared: &Shared, queue: &str) -> (Value, usize, usize) {
    let (provisioner, worker_type) = queue.split_once('/').unwrap_or((queue, ""));
    let body =
        json!({ "provisionerId": provisioner, "workerType": worker_type, "taskQueueId": queue });
    let counts = shared.read(|state| {
        state
            .queues
            .get(queue)
            .map(|queue| (queue.len(), queue.claimed))
    });
    let (pending, claimed) = counts.unwrap_or_default();
    (body, pending, claimed)
}

fn pending_tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:pending-count:{queue}"))?;
    let (mut body, pending, _) = counts(shared, queue);
    body["pendingTasks"] = json!(pending);
    Reply::json(&body)
}

fn task_queue_counts(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let queue = call.param("taskQueueId");
    call.require(Expression::all([
        Expression::scope(format!("queue:pending-count:{queue}")),
        Expression::scope(format!("queue:claimed-count:{queue}")),
    ]))?;
    let (mut body, pending, claimed) = counts(shared, queue);
    body["pendingTasks"] = json!(pending);
    body["claimedTasks"] = json!(claimed);
    Reply::json(&body)
}

fn list_pending_tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:pending-list:{queue}"))?;
    let page = shared.read(|state| {
        let runs = state.queues.get(queue).into_iter().flat_map(|queue| queue.iter());
        let entries = runs.filter_map(|(task_id, run_id)| {
            let task = state.tasks.get(task_id)?;
            let inserted = millis(task.run(*run_id)?.status.scheduled);
            Some(json!({ "taskId": task_id, "runId": run_id, "task": *task.definition, "inserted": inserted }))
        });
        paginate(entries, call.page())
    });
    listing("tasks", page)
}

fn list_claimed_tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let queue = call.param("taskQueueId");
    call.require_scope(format!("queue:claimed-list:{queue}"))?;
    let page = shared.read(|state| {
        let running = state.tasks.values().filter(|task| {
            task.definition.task_queue_id == queue && task.state() == TaskState::Running
        });
        let entries = running.filter_map(|task| {
            let run = &task.runs.last()?.status;
            Some(json!({
                "taskId": task.id,
                "runId": run.run_id,
                "workerGroup": run.worker_group,
                "workerId": run.worker_id,
                "claimed": millis(run.started?),
                "task": *task.definition,
            }))
        });
        paginate(entries, call.page())
    });
    listing("tasks", page)
}

/// The ids in the payload, if the caller has this scope for each.
fn wanted<'a>(call: &'a Call, scope: &str) -> Result<Vec<&'a str>, RequestError> {
    let ids = call.payload["taskIds"].as_array().into_iter().flatten();
    let ids: Vec<_> = ids.filter_map(Value::as_str).collect();
    call.require(Expression::all(
        ids.iter()
            .map(|id| Expression::scope(format!("queue:{scope}:{id}"))),
    ))?;
    Ok(ids)
}

fn tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let ids = wanted(call, "get-task")?;
    let page = shared.read(|state| {
        let found = ids.iter().filter_map(|id| state.tasks.get(*id));
        paginate(
            found.map(|task| json!({ "taskId": task.id, "task": *task.definition })),
            call.page(),
        )
    });
    listing("tasks", page)
}

fn statuses(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let ids = wanted(call, "status")?;
    let page = shared.read(|state| {
        let found = ids.iter().filter_map(|id| state.tasks.get(*id));
        paginate(
            found.map(|task| json!({ "taskId": task.id, "status": task.status() })),
            call.page(),
        )
    });
    listing("statuses", page)
}

fn listing(name: &str, (page, next): (Vec<Value>, Option<String>)) -> Result<Reply, RequestError> {
    let mut body = json!({ name: page });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}

fn change_task_priority(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let task_id = call.param("taskId");
    let queue = shared.read(|state| {
        state
            .task(task_id)
            .map(|task| task.definition.task_queue_id.clone())
    })?;
    call.require(Expression::any([
        Expression::scope(format!("queue:change-task-priority:{task_id}")),
        Expression::scope(format!("queue:change-task-priority-in-queue:{queue}")),
    ]))?;
    let priority = Priority::deserialize(&call.payload["newPriority"]).unwrap_or(Priority::Lowest);
    status_reply(&shared.update(|state| state.change_priority(task_id, priority))?)
}
