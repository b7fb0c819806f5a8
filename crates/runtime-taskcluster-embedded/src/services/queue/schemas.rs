//! The payload schemas of the queue.

use serde_json::json;

use crate::definition::Priority;
use crate::schema::{Field, Schema, ValueType};
use crate::state::task::EXCEPTION_REASONS;

pub(crate) const CREATE_TASK: Schema = Schema {
    name: "queue/v1/create-task-request.json",
    fields: &[
        Field::required("created", ValueType::Timestamp),
        Field::required("deadline", ValueType::Timestamp),
        Field::required("payload", ValueType::Object),
        Field::required("metadata", ValueType::Fields(METADATA)),
        Field::optional("provisionerId", ValueType::Name(38)),
        Field::optional("workerType", ValueType::Name(38)),
        Field::optional("taskQueueId", ValueType::Text(77)),
        Field::optional("taskGroupId", ValueType::Slugid),
        Field::optional("expires", ValueType::Timestamp),
        Field::default("schedulerId", ValueType::Name(38), || json!("-")),
        Field::default("projectId", ValueType::Text(500), || json!("none")),
        Field::default("dependencies", ValueType::Array(&ValueType::Slugid), || {
            json!([])
        }),
        Field::default(
            "requires",
            ValueType::OneOf(&["all-completed", "all-resolved"]),
            || json!("all-completed"),
        ),
        Field::default("routes", ValueType::Array(&ValueType::Text(249)), || {
            json!([])
        }),
        Field::default("priority", ValueType::OneOf(Priority::NAMES), || {
            json!("lowest")
        }),
        Field::default("retries", ValueType::Integer(0, 49), || json!(5)),
        Field::default(
            "scopes",
            ValueType::Array(&ValueType::Text(usize::MAX)),
            || json!([]),
        ),
        Field::default("tags", ValueType::Object, || json!({})),
        Field::default("extra", ValueType::Object, || json!({})),
    ],
};

const METADATA: &[Field] = &[
    Field::required("name", ValueType::Text(255)),
    Field::required("description", ValueType::Text(32_768)),
    Field::required("owner", ValueType::Text(255)),
    Field::required("source", ValueType::Text(4096)),
];

pub(crate) const CLAIM_WORK: Schema = Schema {
    name: "queue/v1/claim-work-request.json",
    fields: &[
        Field::required("workerGroup", ValueType::Name(38)),
        Field::required("workerId", ValueType::Name(38)),
        Field::default("tasks", ValueType::Integer(1, 32), || json!(1)),
    ],
};

pub(crate) const CLAIM_TASK: Schema = Schema {
    name: "queue/v1/task-claim-request.json",
    fields: &[
        Field::required("workerGroup", ValueType::Name(38)),
        Field::required("workerId", ValueType::Name(38)),
    ],
};

pub(crate) const REPORT_EXCEPTION: Schema = Schema {
    name: "queue/v1/task-exception-request.json",
    fields: &[Field::required(
        "reason",
        ValueType::OneOf(EXCEPTION_REASONS),
    )],
};

/// Accepts the properties of all storage types. [`artifact_fields`] has those of each.
pub(crate) const CREATE_ARTIFACT: Schema = Schema {
    name: "queue/v1/post-artifact-request.json",
    fields: &[
        Field::required(
            "storageType",
            ValueType::OneOf(&["s3", "object", "reference", "link", "error"]),
        ),
        Field::required("expires", ValueType::Timestamp),
        Field::optional("contentType", ValueType::Text(255)),
        Field::optional("contentLength", ValueType::Integer(0, i64::MAX)),
        Field::optional("url", ValueType::Text(usize::MAX)),
        Field::optional("artifact", ValueType::Text(1024)),
        Field::optional("reason", ValueType::OneOf(ARTIFACT_ERROR_REASONS)),
        Field::optional("message", ValueType::Text(4096)),
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
    fields: &[Field::required("uploadId", ValueType::Slugid)],
};

pub(crate) const TASKS: Schema = Schema {
    name: "queue/v1/tasks-request.json",
    fields: &[Field::default(
        "taskIds",
        ValueType::Array(&ValueType::Text(22)),
        || json!([]),
    )],
};

pub(crate) const CHANGE_PRIORITY: Schema = Schema {
    name: "queue/v1/change-task-priority-request.json",
    fields: &[Field::required(
        "newPriority",
        ValueType::OneOf(Priority::NAMES),
    )],
};

pub(crate) const QUARANTINE_WORKER: Schema = Schema {
    name: "queue/v1/quarantine-worker-request.json",
    fields: &[
        Field::required("quarantineUntil", ValueType::Timestamp),
        Field::optional("quarantineInfo", ValueType::Text(4000)),
    ],
};
