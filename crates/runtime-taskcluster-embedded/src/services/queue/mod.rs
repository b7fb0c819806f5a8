//! The queue: tasks, claims, reports and artifacts.

pub(crate) mod artifacts;
pub(crate) mod claims;
pub(crate) mod downloads;
pub(crate) mod groups;
pub(crate) mod queues;
pub(crate) mod reports;
pub(crate) mod schemas;
pub(crate) mod tasks;
pub(crate) mod workers;

use serde_json::json;

use crate::call::Reply;
use crate::error::RequestError;
use crate::state::task::TaskStatus;

/// The answer of most methods that change a task.
fn status_reply(status: &TaskStatus) -> Result<Reply, RequestError> {
    Reply::json(&json!({ "status": status }))
}
