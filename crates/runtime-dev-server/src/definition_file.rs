//! Task definitions from files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, TryFromFloatSecsError};

use runtime_core::queue::TaskDefinition;
use runtime_core::{TaskId, Timestamp};
use runtime_worker::config::{self, ConfigError, Format};
use serde_json::{Map, Value, json};

/// The placeholder for the root URL in a definition.
const ROOT_URL: &str = "${TASKCLUSTER_ROOT_URL}";

/// A task to create, from a file with its definition.
///
/// Missing fields are filled in: `created`, `deadline` and `expires`, and those of `metadata`. `${TASKCLUSTER_ROOT_URL}` in
/// texts is replaced by the root URL. The field `taskId` is optional.
///
/// ```
/// use runtime_dev_server::{DefinitionFile, TaskTarget};
///
/// let target = TaskTarget {
///     root_url: "http://127.0.0.1:8640",
///     task_queue_id: None,
/// };
/// let text = "{ taskQueueId: test/linux, payload: { command: [\"true\"] } }";
/// let file = DefinitionFile::parse("first", text, target)?;
/// assert_eq!(file.name, "first");
/// assert_eq!(file.definition.task_queue_id, "test/linux");
///
/// let error = DefinitionFile::parse("second", "{ payloat: {} }", target).unwrap_err();
/// assert_eq!(error.to_string(), "expected an object with at least `payload`");
/// # Ok::<(), runtime_dev_server::DefinitionFileError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DefinitionFile {
    /// The id in the file, or a new one.
    pub task_id: TaskId,
    /// The name in the metadata, which defaults to that of the file.
    pub name: String,
    /// The definition.
    pub definition: TaskDefinition,
    /// The definition as JSON, with its `taskId`.
    pub json: Value,
    /// The expected state, such as `completed` or `exception/canceled`, from `extra.demo.expect`.
    pub expected: Option<String>,
    /// The time from the start of the task to its cancellation, from `extra.demo.cancelAfter` in seconds.
    pub cancel_after: Option<Duration>,
}

/// The deployment and the queue in which tasks are created.
#[derive(Clone, Copy, Debug)]
pub struct TaskTarget<'a> {
    /// The root URL of the deployment.
    pub root_url: &'a str,
    /// The queue of all tasks. With `None`, each definition contains its queue.
    pub task_queue_id: Option<&'a str>,
}

/// The reason why a file has no task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionFileError {
    /// The file could not be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The content of the file is invalid.
    #[error("invalid task definition `{}`", file.display())]
    In {
        /// The file.
        file: PathBuf,
        /// The problem of the content.
        source: Box<Self>,
    },

    /// The text violates the syntax of YAML.
    #[error(transparent)]
    Syntax(ConfigError),

    /// The text is not a definition.
    #[error("expected an object with at least `payload`")]
    NoPayload,

    /// The id of the task is invalid.
    #[error("`taskId`")]
    TaskId(#[source] serde_json::Error),

    /// The time until the cancellation is invalid.
    #[error("`extra.demo.cancelAfter`")]
    CancelAfter(#[source] TryFromFloatSecsError),

    /// The definition is invalid.
    #[error(transparent)]
    Definition(serde_json::Error),
}

impl DefinitionFile {
    /// Reads a file (YAML or JSON).
    ///
    /// # Errors
    ///
    /// A [`DefinitionFileError`] with the name of the file.
    pub fn read(file: &Path, target: TaskTarget<'_>) -> Result<Self, DefinitionFileError> {
        let text = std::fs::read_to_string(file).map_err(|source| DefinitionFileError::Read {
            file: file.to_owned(),
            source,
        })?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text, target).map_err(|source| DefinitionFileError::In {
            file: file.to_owned(),
            source: Box::new(source),
        })
    }

    /// Parses YAML, which includes JSON, and fills in missing fields.
    ///
    /// # Errors
    ///
    /// A [`DefinitionFileError`], also for texts of more than 1 MiB or with more than 64 nested lists and maps.
    pub fn parse(
        default_name: &str,
        text: &str,
        target: TaskTarget<'_>,
    ) -> Result<Self, DefinitionFileError> {
        // With limits of size and depth: the parser needs minutes for some files.
        let mut json: Value =
            config::parse(text, Format::Yaml).map_err(DefinitionFileError::Syntax)?;
        substitute_root_url(&mut json, target.root_url);
        let fields = json.as_object_mut();
        let fields = fields.filter(|fields| fields.contains_key("payload"));
        let fields = fields.ok_or(DefinitionFileError::NoPayload)?;
        let task_id = match fields.remove("taskId") {
            Some(id) => serde_json::from_value(id).map_err(DefinitionFileError::TaskId)?,
            None => TaskId::random(),
        };
        fill_in(fields, default_name, target.task_queue_id);
        let definition: TaskDefinition =
            serde_json::from_value(json.clone()).map_err(DefinitionFileError::Definition)?;
        json["taskId"] = task_id.as_str().into();
        let demo = &json["extra"]["demo"];
        let cancel_after = demo["cancelAfter"].as_f64();
        let cancel_after = cancel_after.map(Duration::try_from_secs_f64).transpose();
        Ok(Self {
            expected: demo["expect"].as_str().map(str::to_owned),
            cancel_after: cancel_after.map_err(DefinitionFileError::CancelAfter)?,
            task_id,
            name: definition.metadata.name.clone(),
            definition,
            json,
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
