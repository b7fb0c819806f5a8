//! Groups of tasks, and tasks by their dependencies.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::call::{Call, Reply, paginate};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::shared::Shared;
use crate::state::{State, Task};
use crate::time::millis;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "listTaskGroup"),
        ("GET", "/task-group/<taskGroupId>/list"),
        Work::Now(list_task_group),
    ),
    Method::new(
        ("queue", "getTaskGroup"),
        ("GET", "/task-group/<taskGroupId>"),
        Work::Now(get_task_group),
    ),
    Method::new(
        ("queue", "sealTaskGroup"),
        ("POST", "/task-group/<taskGroupId>/seal"),
        Work::Now(seal_task_group),
    ),
    Method::new(
        ("queue", "cancelTaskGroup"),
        ("POST", "/task-group/<taskGroupId>/cancel"),
        Work::Now(cancel_task_group),
    ),
    Method::new(
        ("queue", "listDependentTasks"),
        ("GET", "/task/<taskId>/dependents"),
        Work::Now(list_dependents),
    ),
];

/// What the queue tells about a group.
fn describe(state: &State, id: &str) -> Result<Value, RequestError> {
    let group = state.group(id)?;
    let mut body = json!({
        "taskGroupId": id,
        "schedulerId": group.scheduler_id,
        "expires": millis(group.expires),
    });
    if let Some(sealed) = group.sealed {
        body["sealed"] = json!(millis(sealed));
    }
    Ok(body)
}

/// Status and definition of tasks, a page of them.
fn tasks(state: &State, ids: &[Arc<str>], call: &Call) -> (Value, Option<String>) {
    let tasks = ids.iter().filter_map(|id| state.tasks.get(id));
    let entries = tasks.map(|task| json!({ "status": task.status(), "task": *task.definition }));
    let (page, next) = paginate(entries, call.page());
    (json!(page), next)
}

fn with_tasks(
    mut body: Value,
    (tasks, next): (Value, Option<String>),
) -> Result<Reply, RequestError> {
    body["tasks"] = tasks;
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}

fn list_task_group(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let id = call.param("taskGroupId");
    call.require_scope(format!("queue:list-task-group:{id}"))?;
    let (body, page) = shared.read(|state| {
        let body = describe(state, id)?;
        Ok::<_, RequestError>((body, tasks(state, &state.group(id)?.tasks, call)))
    })?;
    with_tasks(body, page)
}

fn get_task_group(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let id = call.param("taskGroupId");
    call.require_scope(format!("queue:list-task-group:{id}"))?;
    Reply::json(&shared.read(|state| describe(state, id))?)
}

/// Refuses unless the caller may do this to the group.
fn require_to(shared: &Shared, call: &Call, verb: &str) -> Result<(), RequestError> {
    let id = call.param("taskGroupId");
    let scheduler = shared.read(|state| state.group(id).map(|group| group.scheduler_id.clone()))?;
    call.require_scope(format!("queue:{verb}-task-group:{scheduler}/{id}"))
}

fn seal_task_group(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(shared, call, "seal")?;
    let id = call.param("taskGroupId");
    let body = shared.update(|state| {
        if let Some(group) = state.groups.get_mut(id) {
            group.sealed.get_or_insert(call.now);
        }
        describe(state, id)
    })?;
    Reply::json(&body)
}

fn cancel_task_group(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(shared, call, "cancel")?;
    let id = call.param("taskGroupId");
    let (cancelled, size) = shared.update(|state| {
        let all = state.group(id)?.tasks.clone();
        let open = |task: &Task| !task.state().is_resolved();
        let open: Vec<_> = all
            .iter()
            .filter(|id| state.tasks.get(*id).is_some_and(open))
            .cloned()
            .collect();
        let cancelled: Vec<_> = open
            .into_iter()
            .filter(|id| state.cancel_task(id, call.now).is_ok())
            .collect();
        Ok::<_, RequestError>((cancelled, all.len()))
    })?;
    let body = json!({
        "taskGroupId": id,
        "taskGroupSize": size,
        "cancelledCount": cancelled.len(),
        "taskIds": cancelled,
    });
    Ok(Reply::json(&body)?.with_status(StatusCode::OK))
}

fn list_dependents(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:list-dependent-tasks:{task_id}"))?;
    let page = shared.read(|state| {
        let dependents = &state.task(task_id)?.dependents;
        Ok::<_, RequestError>(tasks(state, dependents, call))
    })?;
    with_tasks(json!({ "taskId": task_id }), page)
}
