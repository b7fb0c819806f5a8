//! Creation, reads, scheduling, reruns and cancellation of tasks.

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::definition::Definition;
use crate::error::RequestError;
use crate::method::Method;
use crate::scopes::Expression;

pub(super) const METHODS: &[Method] = &[
    Method::put("createTask", "/task/<taskId>", create_task).with_schema(&schemas::CREATE_TASK),
    Method::get("task", "/task/<taskId>", task),
    Method::get("status", "/task/<taskId>/status", status),
    Method::post("scheduleTask", "/task/<taskId>/schedule", schedule_task),
    Method::post("rerunTask", "/task/<taskId>/rerun", rerun_task),
    Method::post("cancelTask", "/task/<taskId>/cancel", cancel_task),
];

fn create_task(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    let definition = Definition::new(task_id, call.payload.clone())?;
    call.require(scopes_to_create(&definition))?;
    let status = context.update(|state| state.create_task(task_id, definition, call.now))?;
    Reply::task_status(&status)
}

/// Returns the scopes to create a task: all that the task can use, and those of its queue.
fn scopes_to_create(task: &Definition) -> Expression {
    let queue = &task.task_queue_id;
    let own = task.scopes.iter().cloned();
    let routes = task
        .routes
        .iter()
        .map(|route| format!("queue:route:{route}"));
    let fixed = [
        format!("queue:create-task:project:{}", task.project_id),
        format!("queue:scheduler-id:{}", task.scheduler_id),
    ];
    let priorities = task.priority.and_above().iter();
    // The scope for a higher priority suffices.
    let by_priority =
        priorities.map(|name| Expression::scope(format!("queue:create-task:{name}:{queue}")));
    let scopes = own.chain(routes).chain(fixed).map(Expression::Scope);
    Expression::all(scopes.chain([Expression::any(by_priority)]))
}

fn task(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:get-task:{task_id}"))?;
    let definition = context.read(|state| {
        let task = state.tasks.get(task_id)?;
        Ok::<_, RequestError>(task.map(|task| task.definition.clone()))
    })?;
    match definition {
        Some(definition) => Reply::json(&*definition),
        None => Err(unknown_task(task_id, "task has already been submitted")),
    }
}

fn status(context: &ServerContext, call: &Call) -> ApiResult {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:status:{task_id}"))?;
    let status = context.read(|state| {
        let task = state.tasks.get(task_id)?;
        Ok::<_, RequestError>(task.map(|task| task.status()))
    })?;
    Reply::task_status(&status.ok_or_else(|| unknown_task(task_id, "task exists"))?)
}

/// Creates the error of the read methods, which is not that of the others.
fn unknown_task(task_id: &str, doubt: &str) -> RequestError {
    RequestError::not_found(format!(
        "`{task_id}` does not correspond to a task that exists.\nAre you sure this {doubt}?"
    ))
}

fn schedule_task(context: &ServerContext, call: &Call) -> ApiResult {
    require_task_scope(context, call, "schedule")?;
    let status = context.update(|state| state.schedule_task(call.param("taskId"), call.now))?;
    Reply::task_status(&status)
}

fn rerun_task(context: &ServerContext, call: &Call) -> ApiResult {
    require_task_scope(context, call, "rerun")?;
    let status = context.update(|state| state.rerun_task(call.param("taskId"), call.now))?;
    Reply::task_status(&status)
}

fn cancel_task(context: &ServerContext, call: &Call) -> ApiResult {
    require_task_scope(context, call, "cancel")?;
    let status = context.update(|state| state.cancel_task(call.param("taskId"), call.now))?;
    Reply::task_status(&status)
}

/// Fails unless the caller may schedule, rerun or cancel the task or all of its project.
fn require_task_scope(
    context: &ServerContext,
    call: &Call,
    action: &str,
) -> Result<(), RequestError> {
    let task_id = call.param("taskId");
    let definition =
        context.read(|state| state.task(task_id).map(|task| task.definition.clone()))?;
    let (scheduler, group) = (&definition.scheduler_id, &definition.task_group_id);
    // The older form of these scopes, which the real queue still accepts.
    let legacy = Expression::all([
        Expression::scope(format!("queue:{action}-task")),
        Expression::scope(format!("assume:scheduler-id:{scheduler}/{group}")),
    ]);
    call.require(Expression::any([
        Expression::scope(format!("queue:{action}-task:{scheduler}/{group}/{task_id}")),
        Expression::scope(format!(
            "queue:{action}-task-in-project:{}",
            definition.project_id
        )),
        legacy,
    ]))
}
