//! Reports of workers, which resolve runs.

use super::schemas;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::state::Resolution;
use crate::state::task::EXCEPTION_REASONS;

pub(super) const METHODS: &[Method] = &[
    Method::post(
        "reportCompleted",
        "/task/<taskId>/runs/<runId>/completed",
        report_completed,
    ),
    Method::post(
        "reportFailed",
        "/task/<taskId>/runs/<runId>/failed",
        report_failed,
    ),
    Method::post(
        "reportException",
        "/task/<taskId>/runs/<runId>/exception",
        report_exception,
    )
    .with_schema(&schemas::REPORT_EXCEPTION),
];

fn report_completed(context: &ServerContext, call: &Call) -> ApiResult {
    report(context, call, Resolution::Completed)
}

fn report_failed(context: &ServerContext, call: &Call) -> ApiResult {
    report(context, call, Resolution::Failed)
}

fn report_exception(context: &ServerContext, call: &Call) -> ApiResult {
    let mut reasons = EXCEPTION_REASONS.iter();
    let reason = reasons.find(|reason| **reason == call.text("reason"));
    let reason = reason.ok_or_else(|| RequestError::input("unknown reason"))?;
    report(context, call, Resolution::Exception(reason))
}

fn report(context: &ServerContext, call: &Call, resolution: Resolution) -> ApiResult {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    context.read(|state| state.task(task_id).map(|_| ()))?;
    call.require_scope(format!("queue:resolve-task:{task_id}/{run_id}"))?;
    let status =
        context.update(|state| state.resolve_run(task_id, run_id, resolution, call.now))?;
    Reply::task_status(&status)
}
