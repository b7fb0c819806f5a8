//! What the payloads of the queue look like.

use serde_json::json;

use crate::definition::Priority;
use crate::schema::{Field, Rule, Schema};

/// The reasons with which a worker may end a run.
pub(crate) const REASONS: &[&str] = &[
    "worker-shutdown",
    "malformed-payload",
    "resource-unavailable",
    "internal-error",
    "intermittent-task",
];

pub(crate) const CREATE_TASK: Schema = Schema {
    name: "queue/v1/create-task-request.json",
    fields: &[
        Field::required("created", Rule::Instant),
        Field::required("deadline", Rule::Instant),
        Field::required("payload", Rule::Object),
        Field::required("metadata", Rule::Fields(METADATA)),
        Field::optional("provisionerId", Rule::Name(38)),
        Field::optional("workerType", Rule::Name(38)),
        Field::optional("taskQueueId", Rule::Text(77)),
        Field::optional("taskGroupId", Rule::Slug),
        Field::optional("expires", Rule::Instant),
        Field::default("schedulerId", Rule::Name(38), || json!("-")),
        Field::default("projectId", Rule::Text(500), || json!("none")),
        Field::default("dependencies", Rule::List(&Rule::Slug), || json!([])),
        Field::default(
            "requires",
            Rule::OneOf(&["all-completed", "all-resolved"]),
            || json!("all-completed"),
        ),
        Field::default("routes", Rule::List(&Rule::Text(249)), || json!([])),
        Field::default("priority", Rule::OneOf(Priority::NAMES), || json!("lowest")),
        Field::default("retries", Rule::Integer(0, 49), || json!(5)),
        Field::default("scopes", Rule::List(&Rule::Text(usize::MAX)), || json!([])),
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
    fields: &[Field::required("reason", Rule::OneOf(REASONS))],
};

/// Lets every kind through; [`artifact_fields`] checks each by its own rules.
pub(crate) const CREATE_ARTIFACT: Schema = Schema {
    name: "queue/v1/post-artifact-request.json",
    fields: &[
        Field::required(
            "storageType",
            Rule::OneOf(&["s3", "object", "reference", "link", "error"]),
        ),
        Field::required("expires", Rule::Instant),
        Field::optional("contentType", Rule::Text(255)),
        Field::optional("contentLength", Rule::Integer(0, i64::MAX)),
        Field::optional("url", Rule::Text(usize::MAX)),
        Field::optional("artifact", Rule::Text(1024)),
        Field::optional("reason", Rule::OneOf(ERROR_REASONS)),
        Field::optional("message", Rule::Text(4096)),
    ],
};

const ERROR_REASONS: &[&str] = &[
    "file-missing-on-worker",
    "invalid-resource-on-worker",
    "too-large-file-on-worker",
    "file-not-readable-on-worker",
];

/// The properties that a kind of artifact must have, and those that it may have.
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
    fields: &[Field::required("uploadId", Rule::Slug)],
};

pub(crate) const TASKS: Schema = Schema {
    name: "queue/v1/tasks-request.json",
    fields: &[Field::default(
        "taskIds",
        Rule::List(&Rule::Text(22)),
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
        Field::required("quarantineUntil", Rule::Instant),
        Field::optional("quarantineInfo", Rule::Text(4000)),
    ],
};
