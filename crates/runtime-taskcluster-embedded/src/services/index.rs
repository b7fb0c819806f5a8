//! The index: names for tasks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::queue::downloads;
use super::queue::found_artifact::FoundArtifact;
use crate::call::{ApiResult, Call, Reply};
use crate::context::ServerContext;
use crate::error::RequestError;
use crate::method::Method;
use crate::schema::{Field, Schema, ValueType};
use crate::scopes::Expression;
use crate::state::State;
use crate::state::index::IndexEntry;
use crate::time::millis;

pub(super) const METHODS: &[Method] = &[
    Method::get("findTask", "/task/<indexPath>", find_task),
    Method::put("insertTask", "/task/<namespace>", insert_task).with_schema(&INSERT_TASK),
    Method::delete("deleteTask", "/task/<namespace>", delete_task),
    Method::get(
        "findArtifactFromTask",
        "/task/<indexPath>/artifacts/<name>",
        find_artifact,
    ),
    Method::post("findTasksAtIndex", "/tasks/indexes", find_tasks).with_schema(&FIND_TASKS),
    Method::get("listTasks", "/tasks/<namespace>", list_tasks),
    Method::get("listNamespaces", "/namespaces/<namespace>", list_namespaces),
];

const INSERT_TASK: Schema = Schema {
    name: "index/v1/insert-task-request.json",
    fields: &[
        Field::required("taskId", ValueType::Slugid),
        Field::required("rank", ValueType::Number),
        Field::required("data", ValueType::Object),
        Field::required("expires", ValueType::Timestamp),
    ],
};

const FIND_TASKS: Schema = Schema {
    name: "index/v1/list-tasks-at-index.json",
    fields: &[Field::default(
        "indexes",
        ValueType::Array(&ValueType::Text(255)),
        || json!([]),
    )],
};

fn insert_task(context: &ServerContext, call: &Call) -> ApiResult {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:insert-task:{namespace}"))?;
    let entry = IndexEntry {
        rank: call.payload["rank"].clone(),
        data: call.payload["data"].clone(),
        ..IndexEntry::new(namespace, call.text("taskId"), call.instant("expires"))
    };
    Reply::json(&context.update(|state| state.index.insert(entry)))
}

fn delete_task(context: &ServerContext, call: &Call) -> ApiResult {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:delete-task:{namespace}"))?;
    context.update(|state| state.index.remove(namespace));
    Reply::no_content()
}

fn find_task(context: &ServerContext, call: &Call) -> ApiResult {
    let path = call.param("indexPath");
    call.require_scope(format!("index:find-task:{path}"))?;
    Reply::json(&find_entry(context, call)?)
}

fn find_entry(context: &ServerContext, call: &Call) -> Result<IndexEntry, RequestError> {
    let path = call.param("indexPath");
    let entry = context.read(|state| state.index.get(path, call.now).cloned());
    entry.ok_or_else(|| RequestError::not_found("Indexed task not found"))
}

fn find_artifact(context: &ServerContext, call: &Call) -> ApiResult {
    let may_read = |name: &str| call.require_scope(format!("queue:get-artifact:{name}"));
    // Checked before the lookup: without the scope, the index reveals nothing.
    may_read(call.param("name"))?;
    let task_id = find_entry(context, call)?.task_id;
    let found = FoundArtifact::find(context, &task_id, None, call.param("name"), may_read)?;
    downloads::redirect(context, call, &found)
}

fn find_tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let paths = call.payload["indexes"].as_array().into_iter().flatten();
    let paths: Vec<&str> = paths.filter_map(Value::as_str).collect();
    let scopes = paths
        .iter()
        .map(|path| Expression::scope(format!("index:find-task:{path}")));
    call.require(Expression::all(scopes))?;
    let page = |state: &State| {
        let entries = paths.iter();
        let entries = entries.filter_map(|path| state.index.get(path, call.now));
        call.page(entries.cloned())
    };
    Reply::page("tasks", &context.read(page))
}

fn list_tasks(context: &ServerContext, call: &Call) -> ApiResult {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:list-tasks:{namespace}"))?;
    let page = context.read(|state| {
        let below = state.index.below(namespace, call.now);
        let direct = below.filter(|(name, _)| !name.contains('.'));
        call.page(direct.map(|(_, entry)| entry.clone()))
    });
    Reply::page("tasks", &page)
}

fn list_namespaces(context: &ServerContext, call: &Call) -> ApiResult {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:list-namespaces:{namespace}"))?;
    let (names, latest) = context.read(|state| {
        let (mut names, mut latest) = (BTreeSet::new(), call.now);
        for (name, entry) in state.index.below(namespace, call.now) {
            if let Some((child, _)) = name.split_once('.') {
                names.insert(child.to_owned());
                latest = latest.max(entry.expires);
            }
        }
        (names, latest)
    });
    let expires = millis(latest);
    let namespaces = names.iter().map(
        |name| json!({ "namespace": format!("{namespace}.{name}"), "name": name, "expires": expires }),
    );
    Reply::page("namespaces", &call.page(namespaces))
}
