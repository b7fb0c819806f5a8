//! The index: names for tasks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::queue::downloads;
use crate::call::{Call, Reply, paginate};
use crate::definition::Definition;
use crate::error::RequestError;
use crate::router::{Method, Work};
use crate::schema::{Field, Rule, Schema};
use crate::scopes::Expression;
use crate::shared::Shared;
use crate::state::State;
use crate::time::{self, as_millis};

pub(crate) const METHODS: &[Method] = &[
    Method::new(
        ("index", "findTask"),
        ("GET", "/task/<indexPath>"),
        Work::Now(find_task),
    ),
    Method::new(
        ("index", "insertTask"),
        ("PUT", "/task/<namespace>"),
        Work::Now(insert_task),
    )
    .takes(&INSERT_TASK),
    Method::new(
        ("index", "deleteTask"),
        ("DELETE", "/task/<namespace>"),
        Work::Now(delete_task),
    ),
    Method::new(
        ("index", "findArtifactFromTask"),
        ("GET", "/task/<indexPath>/artifacts/<name>"),
        Work::Now(find_artifact),
    ),
    Method::new(
        ("index", "findTasksAtIndex"),
        ("POST", "/tasks/indexes"),
        Work::Now(find_tasks),
    )
    .takes(&FIND_TASKS),
    Method::new(
        ("index", "listTasks"),
        ("GET", "/tasks/<namespace>"),
        Work::Now(list_tasks),
    ),
    Method::new(
        ("index", "listNamespaces"),
        ("GET", "/namespaces/<namespace>"),
        Work::Now(list_namespaces),
    ),
];

const INSERT_TASK: Schema = Schema {
    name: "index/v1/insert-task-request.json",
    fields: &[
        Field::required("taskId", Rule::Slug),
        Field::required("rank", Rule::Number),
        Field::required("data", Rule::Object),
        Field::required("expires", Rule::Instant),
    ],
};

const FIND_TASKS: Schema = Schema {
    name: "index/v1/list-tasks-at-index.json",
    fields: &[Field::default(
        "indexes",
        Rule::List(&Rule::Text(255)),
        || json!([]),
    )],
};

/// An entry of the index.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IndexedTask {
    namespace: String,
    task_id: String,
    rank: Value,
    data: Value,
    #[serde(serialize_with = "as_millis")]
    expires: Timestamp,
}

impl IndexedTask {
    /// An entry of rank 0 without data.
    pub(crate) fn new(namespace: &str, task_id: &str, expires: Timestamp) -> Self {
        Self {
            namespace: namespace.to_owned(),
            task_id: task_id.to_owned(),
            rank: json!(0),
            data: json!({}),
            expires,
        }
    }

    fn outranks(&self, other: &Self) -> bool {
        let rank = |entry: &Self| entry.rank.as_f64().unwrap_or_default();
        rank(self) > rank(other)
    }
}

/// Adds an entry unless one of higher rank is there; gives the one that stays.
pub(crate) fn insert(index: &mut BTreeMap<String, IndexedTask>, new: IndexedTask) -> IndexedTask {
    match index.get(&new.namespace) {
        Some(old) if old.outranks(&new) => old.clone(),
        _ => {
            index.insert(new.namespace.clone(), new.clone());
            new
        }
    }
}

/// Adds the entries that a task asks for by its routes, once it has completed.
pub(crate) fn add_completed(
    index: &mut BTreeMap<String, IndexedTask>,
    task_id: &str,
    task: &Definition,
) {
    let wishes = &task.extra["index"];
    let expires = wishes["expires"]
        .as_str()
        .and_then(time::parse)
        .unwrap_or(task.expires);
    for namespace in task
        .routes
        .iter()
        .filter_map(|route| route.strip_prefix("index."))
    {
        let mut entry = IndexedTask::new(namespace, task_id, expires);
        if wishes["rank"].is_number() {
            entry.rank = wishes["rank"].clone();
        }
        if wishes["data"].is_object() {
            entry.data = wishes["data"].clone();
        }
        insert(index, entry);
    }
}

fn insert_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:insert-task:{namespace}"))?;
    let entry = IndexedTask {
        namespace: namespace.to_owned(),
        task_id: call.text("taskId").to_owned(),
        rank: call.payload["rank"].clone(),
        data: call.payload["data"].clone(),
        expires: call.instant("expires"),
    };
    Reply::json(&shared.update(|state| insert(&mut state.index, entry)))
}

fn delete_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:delete-task:{namespace}"))?;
    shared.update(|state| state.index.remove(namespace));
    Reply::no_content()
}

fn find_task(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let path = call.param("indexPath");
    call.require_scope(format!("index:find-task:{path}"))?;
    Reply::json(&lookup(shared, path, call.now)?)
}

fn lookup(shared: &Shared, path: &str, now: Timestamp) -> Result<IndexedTask, RequestError> {
    let entry = shared.read(|state| {
        state
            .index
            .get(path)
            .filter(|entry| entry.expires > now)
            .cloned()
    });
    entry.ok_or_else(|| RequestError::not_found("Indexed task not found"))
}

fn find_artifact(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let may_read = |name: &str| call.require_scope(format!("queue:get-artifact:{name}"));
    may_read(call.param("name"))?;
    let task_id = lookup(shared, call.param("indexPath"), call.now)?.task_id;
    let found = downloads::find(shared, &task_id, None, call.param("name"), may_read)?;
    downloads::redirect(shared, call, &found)
}

fn find_tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let paths: Vec<&str> = call.payload["indexes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    call.require(Expression::all(
        paths
            .iter()
            .map(|path| Expression::scope(format!("index:find-task:{path}"))),
    ))?;
    let live = |state: &State| {
        let entries = paths.iter().filter_map(|path| state.index.get(*path));
        paginate(
            entries.filter(|entry| entry.expires > call.now).cloned(),
            call.page(),
        )
    };
    let (tasks, next) = shared.read(live);
    listing("tasks", json!(tasks), next)
}

fn list_tasks(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:list-tasks:{namespace}"))?;
    let prefix = format!("{namespace}.");
    let (tasks, next) = shared.read(|state| {
        let below = state.index.values().filter(|entry| {
            let name = entry.namespace.strip_prefix(&prefix);
            name.is_some_and(|name| !name.contains('.')) && entry.expires > call.now
        });
        paginate(below.cloned(), call.page())
    });
    listing("tasks", json!(tasks), next)
}

fn list_namespaces(shared: &Shared, call: &Call) -> Result<Reply, RequestError> {
    let namespace = call.param("namespace");
    call.require_scope(format!("index:list-namespaces:{namespace}"))?;
    let prefix = format!("{namespace}.");
    let (names, latest) = shared.read(|state| {
        let below = state.index.values().filter_map(|entry| {
            let (name, _) = entry.namespace.strip_prefix(&prefix)?.split_once('.')?;
            Some((name.to_owned(), entry.expires))
        });
        let entries: Vec<_> = below.filter(|(_, expires)| *expires > call.now).collect();
        let latest = entries.iter().map(|(_, expires)| *expires).max();
        let names: BTreeSet<_> = entries.into_iter().map(|(name, _)| name).collect();
        (names, latest.unwrap_or(call.now))
    });
    let entries = names.iter().map(|name| {
        json!({ "namespace": format!("{prefix}{name}"), "name": name, "expires": time::millis(latest) })
    });
    let (page, next) = paginate(entries, call.page());
    listing("namespaces", json!(page), next)
}

/// A page of a listing.
fn listing(name: &str, items: Value, next: Option<String>) -> Result<Reply, RequestError> {
    let mut body = json!({ name: items });
    if let Some(next) = next {
        body["continuationToken"] = json!(next);
    }
    Reply::json(&body)
}
