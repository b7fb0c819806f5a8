//! Reports: how workers resolve runs.

use super::{schemas, status_reply};
use crate::call::{Call, Reply};
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::shared::Shared;
use crate::state::Verdict;

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("queue", "reportCompleted"),
        ("POST", "/task/<taskId>/runs/<runId>/completed"),
        Work::Now(report_completed),
    ),
    Method::new(
        ("queue", "reportFailed"),
        ("POST", "/task/<taskId>/runs/<runId>/failed"),
        Work::Now(report_failed),
    ),
    Method::new(
        ("queue", "reportException"),
        ("POST", "/task/<taskId>/runs/<runId>/exception"),
        Work::Now(report_exception),
    )
    .takes(&schemas::REPORT_EXCEPTION),
];

fn report_completed(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    report(shared, call, Verdict::Completed)
}

fn report_failed(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    report(shared, call, Verdict::Failed)
}

fn report_exception(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let reason = schemas::REASONS
        .iter()
        .find(|reason| **reason == call.text("reason"));
    let reason = reason.ok_or_else(|| RequestError::input("unknown reason"))?;
    report(shared, call, Verdict::Exception(reason))
}

fn report(shared: &Shared, call: &Call, verdict: Verdict) -> Result<Reply, RequestError> {
    let (task_id, run_id) = (call.param("taskId"), call.run_id());
    shared.read(|state| state.task(task_id).map(|_| ()))?;
    call.require_scope(format!("queue:resolve-task:{task_id}/{run_id}"))?;
    let status = shared.update(|state| state.resolve(task_id, run_id, verdict, call.now))?;
    status_reply(&status)
}
