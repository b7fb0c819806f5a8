//! Tasks: create, read, schedule, cancel and run again.

use super::schemas;
use super::status_reply;
use crate::call::{Call, Reply};
use crate::definition::Definition;
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::state::Task;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "createTask"),
        ("PUT", "/task/<taskId>"),
        Work::Now(create_task),
    )
    .takes(&schemas::CREATE_TASK),
    Method::new(
        ("queue", "task"),
        ("GET", "/task/<taskId>"),
        Work::Now(task),
    ),
    Method::new(
        ("queue", "status"),
        ("GET", "/task/<taskId>/status"),
        Work::Now(status),
    ),
    Method::new(
        ("queue", "scheduleTask"),
        ("POST", "/task/<taskId>/schedule"),
        Work::Now(schedule_task),
    ),
    Method::new(
        ("queue", "rerunTask"),
        ("POST", "/task/<taskId>/rerun"),
        Work::Now(rerun_task),
    ),
    Method::new(
        ("queue", "cancelTask"),
        ("POST", "/task/<taskId>/cancel"),
        Work::Now(cancel_task),
    ),
];

fn create_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let task_id = call.param("taskId");
    let definition = Definition::new(task_id, call.payload.clone())?;
    call.require(scopes_to_create(&definition))?;
    let status = shared.update(|state| state.create_task(task_id, definition, call.now))?;
    status_reply(&status)
}

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
    let by_priority =
        priorities.map(|name| Expression::scope(format!("queue:create-task:{name}:{queue}")));
    let scopes = own.chain(routes).chain(fixed).map(Expression::Scope);
    Expression::all(scopes.chain([Expression::any(by_priority)]))
}

fn task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:get-task:{task_id}"))?;
    let definition =
        shared.read(|state| state.tasks.get(task_id).map(|task| task.definition.clone()));
    match definition {
        Some(definition) => Reply::json(&*definition),
        None => Err(missing(task_id, "task has already been submitted")),
    }
}

fn status(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let task_id = call.param("taskId");
    call.require_scope(format!("queue:status:{task_id}"))?;
    let status = shared.read(|state| state.tasks.get(task_id).map(Task::status));
    status_reply(&status.ok_or_else(|| missing(task_id, "task exists"))?)
}

fn missing(task_id: &str, doubt: &str) -> RequestError {
    RequestError::not_found(format!(
        "`{task_id}` does not correspond to a task that exists.\nAre you sure this {doubt}?"
    ))
}

fn schedule_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(shared, call, "schedule")?;
    let status = shared.update(|state| state.schedule_task(call.param("taskId"), call.now))?;
    status_reply(&status)
}

fn rerun_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(shared, call, "rerun")?;
    let status = shared.update(|state| state.rerun_task(call.param("taskId"), call.now))?;
    status_reply(&status)
}

fn cancel_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    require_to(shared, call, "cancel")?;
    let status = shared.update(|state| state.cancel_task(call.param("taskId"), call.now))?;
    status_reply(&status)
}

/// The scopes to schedule, rerun or cancel: for the task, or for its whole project.
fn require_to(shared: &Shared, call: &Call, verb: &str) -> Result<(), RequestError> {
    let task_id = call.param("taskId");
    let definition =
        shared.read(|state| state.task(task_id).map(|task| task.definition.clone()))?;
    let (scheduler, group) = (&definition.scheduler_id, &definition.task_group_id);
    let legacy = Expression::all([
        Expression::scope(format!("queue:{verb}-task")),
        Expression::scope(format!("assume:scheduler-id:{scheduler}/{group}")),
    ]);
    call.require(Expression::any([
        Expression::scope(format!("queue:{verb}-task:{scheduler}/{group}/{task_id}")),
        Expression::scope(format!(
            "queue:{verb}-task-in-project:{}",
            definition.project_id
        )),
        legacy,
    ]))
}
