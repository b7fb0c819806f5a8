//! Task definitions from files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runtime_core::queue::TaskDefinition;
use runtime_core::{TaskId, Timestamp};
use runtime_worker::config::{self, Format};
use serde_json::{Map, Value, json};

/// The placeholder for the root URL in a definition.
const ROOT_URL: &str = "${TASKCLUSTER_ROOT_URL}";

/// A task to create, and its expected result.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) task_id: TaskId,
    pub(crate) name: String,
    pub(crate) task: TaskDefinition,
    /// The definition with its `taskId`.
    pub(crate) body: Value,
    /// The expected state, such as `completed` or `exception/canceled`, from `extra.demo.expect`.
    pub(crate) expected: Option<String>,
    /// The time from the start of the task to its cancellation, from `extra.demo.cancelAfter` in seconds.
    pub(crate) cancel_after: Option<Duration>,
}

/// The deployment and the queue in which the tasks are created.
pub(crate) struct TaskTarget<'a> {
    pub(crate) root_url: &'a str,
    /// The queue of all tasks. With `None`, each definition contains its queue.
    pub(crate) task_queue_id: Option<&'a str>,
}

impl Definition {
    pub(crate) fn read(path: &Path, target: &TaskTarget<'_>) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text, target)
            .with_context(|| format!("invalid task definition `{}`", path.display()))
    }

    /// Parses YAML, which includes JSON, and fills in missing fields.
    pub(crate) fn parse(default_name: &str, text: &str, target: &TaskTarget<'_>) -> Result<Self> {
        // With limits of size and depth: the parser needs minutes for some files.
        let mut body: Value = config::parse(text, Format::Yaml)?;
        substitute_root_url(&mut body, target.root_url);
        let Value::Object(fields) = &mut body else {
            bail!("expected an object with at least `payload`");
        };
        if !fields.contains_key("payload") {
            bail!("`payload` is missing");
        }
        let task_id = match fields.remove("taskId") {
            Some(id) => serde_json::from_value(id).context("`taskId`")?,
            None => TaskId::random(),
        };
        fill_in(fields, default_name, target.task_queue_id);
        let definition: TaskDefinition = serde_json::from_value(body.clone())?;
        body["taskId"] = task_id.as_str().into();
        let demo = &body["extra"]["demo"];
        let cancel_after = demo["cancelAfter"].as_f64();
        let cancel_after = cancel_after.map(Duration::try_from_secs_f64).transpose();
        Ok(Self {
            expected: demo["expect"].as_str().map(str::to_owned),
            cancel_after: cancel_after.context("`extra.demo.cancelAfter`")?,
            task_id,
            name: definition.metadata.name.clone(),
            task: definition,
            body,
        })
    }
}

fn fill_in(fields: &mut Map<String, Value>, name: &str, task_queue_id: Option<&str>) {
    // The worker claims from one queue; a task in another one would never run.
    if let Some(queue) = task_queue_id {
        fields.insert("taskQueueId".to_owned(), json!(queue));
    }
    let now = Timestamp::now();
    for (field, hours) in [("created", 0), ("deadline", 1), ("expires", 24)] {
        let time = now + Duration::from_secs(hours * 3600);
        fields
            .entry(field)
            .or_insert_with(|| json!(time.to_string()));
    }
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Value::Object(metadata) = metadata {
        for (field, text) in [
            ("name", name),
            ("description", "A task from the command line."),
            ("owner", "nobody@example.com"),
            ("source", "https://example.com/"),
        ] {
            metadata.entry(field).or_insert_with(|| json!(text));
        }
    }
}

fn substitute_root_url(value: &mut Value, root_url: &str) {
    match value {
        Value::String(text) => *text = text.replace(ROOT_URL, root_url),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| substitute_root_url(value, root_url)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| substitute_root_url(value, root_url)),
        _ => {}
    }
}
