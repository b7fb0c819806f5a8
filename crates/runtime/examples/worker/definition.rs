//! Task definitions from files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runtime::queue::TaskDefinition;
use runtime::{TaskId, Timestamp};
use serde_json::{Map, Value, json};

/// A task to create, and what its file says about how it should end.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) task_id: TaskId,
    pub(crate) name: String,
    /// What goes to `createTask`.
    pub(crate) body: Value,
    /// How it should end, such as `completed` or `exception/canceled`: `extra.demo.expect`.
    pub(crate) expect: Option<String>,
    /// When to cancel it after it has started: `extra.demo.cancelAfter`, in seconds.
    pub(crate) cancel_after: Option<Duration>,
}

/// Stands for the root URL in any text of a definition.
const ROOT_URL: &str = "${TASKCLUSTER_ROOT_URL}";

/// Where the tasks will run.
pub(crate) struct Target<'a> {
    pub(crate) root_url: &'a str,
    pub(crate) task_queue_id: &'a str,
}

impl Definition {
    pub(crate) fn read(path: &Path, target: &Target<'_>) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let stem = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self::parse(&stem, &text, target)
            .with_context(|| format!("`{}` is no task definition", path.display()))
    }

    /// Parses YAML, of which JSON is a part, and fills in what is missing.
    pub(crate) fn parse(stem: &str, text: &str, target: &Target<'_>) -> Result<Self> {
        let mut body: Value = serde_yaml_ng::from_str(text)?;
        substitute(&mut body, target.root_url);
        let Value::Object(fields) = &mut body else {
            bail!("it must be an object with at least a `payload`");
        };
        if !fields.contains_key("payload") {
            bail!("`payload` is missing");
        }
        let task_id = match fields.remove("taskId") {
            Some(id) => serde_json::from_value(id).context("`taskId`")?,
            None => TaskId::random(),
        };
        fill_in(fields, stem, target.task_queue_id);
        let definition: TaskDefinition = serde_path(&body)?;
        let demo = &body["extra"]["demo"];
        let expect = demo["expect"].as_str().map(str::to_owned);
        let cancel_after = demo["cancelAfter"].as_f64().map(Duration::from_secs_f64);
        Ok(Self {
            task_id,
            name: definition.metadata.name,
            body,
            expect,
            cancel_after,
        })
    }
}

fn serde_path(body: &Value) -> Result<TaskDefinition> {
    serde_json::from_value(body.clone()).context("a field has the wrong type or is missing")
}

fn fill_in(fields: &mut Map<String, Value>, stem: &str, task_queue_id: &str) {
    let in_hours = |hours: i64| {
        let time = Timestamp::now() + jiff_hours(hours);
        json!(time.to_string())
    };
    // The worker claims from one queue; a task for another would never run.
    fields.insert("taskQueueId".to_owned(), json!(task_queue_id));
    fields.entry("created").or_insert_with(|| in_hours(0));
    fields.entry("deadline").or_insert_with(|| in_hours(1));
    fields.entry("expires").or_insert_with(|| in_hours(24));
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Value::Object(metadata) = metadata {
        let defaults = [
            ("name", stem),
            ("description", "A task given on the command line."),
            ("owner", "nobody@example.com"),
            ("source", "https://example.com/"),
        ];
        for (field, text) in defaults {
            metadata.entry(field).or_insert_with(|| json!(text));
        }
    }
}

fn jiff_hours(hours: i64) -> std::time::Duration {
    Duration::from_secs(u64::try_from(hours).unwrap_or(0) * 3600)
}

fn substitute(value: &mut Value, root_url: &str) {
    match value {
        Value::String(text) if text.contains(ROOT_URL) => *text = text.replace(ROOT_URL, root_url),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| substitute(value, root_url)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| substitute(value, root_url)),
        _ => {}
    }
}

/// The demo tasks, in the order in which they are created.
pub(crate) const DEMO: [(&str, &str); 6] = [
    ("make", include_str!("tasks/make.yml")),
    ("fetch", include_str!("tasks/fetch.yml")),
    ("warm", include_str!("tasks/warm.yml")),
    ("fail", include_str!("tasks/fail.yml")),
    ("malformed", include_str!("tasks/malformed.yml")),
    ("cancel", include_str!("tasks/cancel.yml")),
];
