//! Task groups and dependents.

use std::sync::Arc;

use runtime_core::queue::TaskState;
use serde_json::{Value, json};

use crate::call::{ApiResult, Call, ListingPage, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::state::State;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get(
        "listTaskGroup",
        "/task-group/<taskGroupId>/list",
        list_task_group,
    ),
    Method::get("getTaskGroup", "/task-group/<taskGroupId>", get_task_group),
    Method::post(
        "sealTaskGroup",
        "/task-group/<taskGroupId>/seal",
        seal_task_group,
    ),
    Method::post(
        "cancelTaskGroup",
        "/task-group/<taskGroupId>/cancel",
        cancel_task_group,
    ),
    Method::get(
        "listDependentTasks",
        "/task/<taskId>/dependents",
        list_dependents,
    ),
];

/// Returns the common part of responses about a group.
fn describe(state: &State, id: &str) -> Result<Value, RequestError> {
    let group = state.group(id)?;
    let mut body = json!({
        "taskGroupId": id,
        "schedulerId": group.scheduler_id,
        "expires": millis(group.expires),
    });
    if let Some(sealed) = state.sealed_groups.get(id) {
        body["sealed"] = json!(millis(*sealed));
    }
    Ok(body)
}

/// Returns a page with status and definition of tasks.
fn page(state: &State, ids: &[Arc<str>], call: &Call) -> Result<ListingPage<Value>, RequestError> {
    call.page(ids.iter()).filter_map(|id| {
        let task = state.tasks.get(id)?;
        Ok(task.map(|task| json!({ "status": task.status(), "task": *task.definition })))
    })
}

fn list_task_group(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("taskGroupId");
    call.require_scope(format!("queue:list-task-group:{id}"))?;
    let (body, page) = context.read(|state| {
        let body = describe(state, id)?;
        Ok::<_, RequestError>((body, page(state, &state.group(id)?.tasks, call)?))
    })?;
    Reply::page_in(body, "tasks", &page)
}

fn get_task_group(context: &ServerContext, call: &Call) -> ApiResult {
    let id = call.param("taskGroupId");
    call.require_scope(format!("queue:list-task-group:{id}"))?;
    Reply::json(&context.read(|state| describe(state, id))?)
}

/// Fails unless the caller has the scope for this action on the group.
fn require_group_scope(
    context: &ServerContext,
    call: &Call,
    action: &str,
) -> Result<(), RequestError> {
    let id = call.param("taskGroupId");
    let scheduler =
        context.read(|state| state.group(id).map(|group| group.scheduler_id.clone()))?;
    call.require_scope(format!("queue:{action}-task-group:{scheduler}/{id}"))
}

fn seal_task_group(context: &ServerContext, call: &Call) -> ApiResult {
    require_group_scope(context, call, "seal")?;
    let id = call.param("taskGroupId");
    let body = context.update(|state| {
        state.group(id)?;
        let sealed = &mut state.sealed_groups;
        sealed.get_or_insert_with(id.to_owned(), || call.now);
        describe(state, id)
    })?;
    Reply::json(&body)
}

fn cancel_task_group(context: &ServerContext, call: &Call) -> ApiResult {
    require_group_scope(context, call, "cancel")?;
    let id = call.param("taskGroupId");
    let (cancelled, size) = context.update(|state| {
        let all = state.group(id)?.tasks.clone();
        let is_unresolved = |state: TaskState| !state.is_resolved();
        let cancelled: Vec<_> = all
            .iter()
            .filter(|id| state.tasks.state(id).is_some_and(is_unresolved))
            .cloned()
            .collect();
        // A task past its deadline cannot be cancelled: its timer resolves it.
        let cancelled: Vec<_> = cancelled
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
    Reply::json(&body)
}

fn list_dependents(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:list-dependent-tasks:{task_id}"))?;
    let page = context.read(|state| {
        state.task(task_id)?;
        let dependents = state.dependents.get(task_id).map(Vec::as_slice);
        page(state, dependents.unwrap_or_default(), call)
    })?;
    Reply::page_in(json!({ "taskId": task_id }), "tasks", &page)
}
