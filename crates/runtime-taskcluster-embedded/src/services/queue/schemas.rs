//! The payload schemas of the queue.

use serde_json::json;

use crate::definition::Priority;
use crate::schema::{Field, Rule, Schema};
use crate::state::task::EXCEPTION_REASONS;

pub(crate) const CREATE_TASK: Schema = Schema {
    name: "queue/v1/create-task-request.json",
    fields: &[
        Field::required("created", Rule::Timestamp),
        Field::required("deadline", Rule::Timestamp),
        Field::required("payload", Rule::Object),
        Field::required("metadata", Rule::Fields(METADATA)),
        Field::optional("provisionerId", Rule::Name(38)),
        Field::optional("workerType", Rule::Name(38)),
        Field::optional("taskQueueId", Rule::Text(77)),
        Field::optional("taskGroupId", Rule::Slugid),
        Field::optional("expires", Rule::Timestamp),
        Field::default("schedulerId", Rule::Name(38), || json!("-")),
        Field::default("projectId", Rule::Text(500), || json!("none")),
        Field::default("dependencies", Rule::Array(&Rule::Slugid), || json!([])),
        Field::default(
            "requires",
            Rule::OneOf(&["all-completed", "all-resolved"]),
            || json!("all-completed"),
        ),
        Field::default("routes", Rule::Array(&Rule::Text(249)), || json!([])),
        Field::default("priority", Rule::OneOf(Priority::NAMES), || json!("lowest")),
        Field::default("retries", Rule::Integer(0, 49), || json!(5)),
        Field::default("scopes", Rule::Array(&Rule::Text(usize::MAX)), || json!([])),
        Field::default("tags", Rule::Object, || json!({})),
        Field::default("extra", Rule::Object, || json!({})),
    ],
};

const METADATA: &[Field] = &[
    Field::required("name", Rule::Text(255)),
    Field::required("description", Rule::Text(32_768)),
    Field::required("owner", Rule::Text(255)),
    Field::required("source", Rule::Text(4096)),
];

pub(crate) const CLAIM_WORK: Schema = Schema {
    name: "queue/v1/claim-work-request.json",
    fields: &[
        Field::required("workerGroup", Rule::Name(38)),
        Field::required("workerId", Rule::Name(38)),
        Field::default("tasks", Rule::Integer(1, 32), || json!(1)),
    ],
};

pub(crate) const CLAIM_TASK: Schema = Schema {
    name: "queue/v1/task-claim-request.json",
    fields: &[
        Field::required("workerGroup", Rule::Name(38)),
        Field::required("workerId", Rule::Name(38)),
    ],
};

pub(crate) const REPORT_EXCEPTION: Schema = Schema {
    name: "queue/v1/task-exception-request.json",
    fields: &[Field::required("reason", Rule::OneOf(EXCEPTION_REASONS))],
};

/// Accepts the properties of all storage types. [`artifact_fields`] has those of each.
pub(crate) const CREATE_ARTIFACT: Schema = Schema {
    name: "queue/v1/post-artifact-request.json",
    fields: &[
        Field::required(
            "storageType",
            Rule::OneOf(&["s3", "object", "reference", "link", "error"]),
        ),
        Field::required("expires", Rule::Timestamp),
        Field::optional("contentType", Rule::Text(255)),
        Field::optional("contentLength", Rule::Integer(0, i64::MAX)),
        Field::optional("url", Rule::Text(usize::MAX)),
        Field::optional("artifact", Rule::Text(1024)),
        Field::optional("reason", Rule::OneOf(ARTIFACT_ERROR_REASONS)),
        Field::optional("message", Rule::Text(4096)),
    ],
};

const ARTIFACT_ERROR_REASONS: &[&str] = &[
    "file-missing-on-worker",
    "invalid-resource-on-worker",
    "too-large-file-on-worker",
    "file-not-readable-on-worker",
];

/// Returns the required and the optional properties of a storage type.
pub(crate) fn artifact_fields(
    storage_type: &str,
) -> (&'static [&'static str], &'static [&'static str]) {
    match storage_type {
        "s3" | "object" => (&["contentType"], &["contentLength"]),
        "reference" => (&["contentType", "url"], &[]),
        "link" => (&["artifact"], &["contentType"]),
        _ => (&["reason", "message"], &[]),
    }
}

pub(crate) const FINISH_ARTIFACT: Schema = Schema {
    name: "queue/v1/finish-artifact-request.json",
    fields: &[Field::required("uploadId", Rule::Slugid)],
};

pub(crate) const TASKS: Schema = Schema {
    name: "queue/v1/tasks-request.json",
    fields: &[Field::default(
        "taskIds",
        Rule::Array(&Rule::Text(22)),
        || json!([]),
    )],
};

pub(crate) const CHANGE_PRIORITY: Schema = Schema {
    name: "queue/v1/change-task-priority-request.json",
    fields: &[Field::required("newPriority", Rule::OneOf(Priority::NAMES))],
};

pub(crate) const QUARANTINE_WORKER: Schema = Schema {
    name: "queue/v1/quarantine-worker-request.json",
    fields: &[
        Field::required("quarantineUntil", Rule::Timestamp),
        Field::optional("quarantineInfo", Rule::Text(4000)),
    ],
};
