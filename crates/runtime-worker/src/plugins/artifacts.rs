//! Uploads what a task made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ContentEncoding, ErrorArtifact, S3Artifact, UploadError,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{Section, TaskError, Timestamp, chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::payload::schema_of;
use crate::{ExtractError, Plugin, ResultSet, TaskPlugin, TaskRun, Verdict};

/// Reads `artifacts` and uploads files and folders.
///
/// One artifact that fails does not keep the others from being uploaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Artifacts;

#[derive(Deserialize, JsonSchema)]
struct Payload {
    /// What to keep.
    #[serde(default)]
    artifacts: Vec<Wanted>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    /// The name; for a folder, what the names of its files start with.
    #[schemars(length(min = 1))]
    name: String,
    /// Whether `path` is a file or a folder.
    #[serde(rename = "type")]
    kind: Kind,
    /// Where it is, relative to the folder of the task.
    path: String,
    /// When it is forgotten; as the task if it is not given or later than that.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    expires: Option<Timestamp>,
    /// The MIME type; told from the name if it is not given.
    content_type: Option<String>,
    /// Whether it is fine that there is nothing.
    #[serde(default)]
    optional: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Directory,
}

#[async_trait]
impl Plugin for Artifacts {
    fn name(&self) -> &'static str {
        "artifacts"
    }

    fn payload_schema(&self) -> Option<Value> {
        Some(schema_of::<Payload>())
    }

    fn documentation(&self) -> Vec<Section> {
        vec![Section::new(
            "Artifacts",
            "
            Each entry of `artifacts` has a `name`, a `type` (`file` or `directory`) and a `path` relative
            to the folder of the task. What is missing becomes an artifact of type `error` and fails the
            task, unless it is `optional`. Links that lead out of the folder of the task are not followed.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let wanted = run.payload_as::<Payload>()?.artifacts;
        let plugin = TaskArtifacts {
            run: run.clone(),
            wanted,
        };
        Ok((!plugin.wanted.is_empty()).then(|| Box::new(plugin) as Box<dyn TaskPlugin>))
    }
}

struct TaskArtifacts {
    run: TaskRun,
    wanted: Vec<Wanted>,
}

#[async_trait]
impl TaskPlugin for TaskArtifacts {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let mut verdict = Verdict::Success;
        let mut failure = None;
        for wanted in &self.wanted {
            match self.keep(wanted, &**result).await {
                Ok(found) => verdict = verdict.max(found),
                Err(error) => {
                    self.run.context.log_error(format_args!(
                        "Cannot upload `{}`: {}",
                        wanted.name,
                        chain(&error)
                    ));
                    failure = failure.or(Some(error));
                }
            }
        }
        failure.map_or(Ok(verdict), |error| Err(TaskError::unavailable(error)))
    }
}

impl TaskArtifacts {
    async fn keep(&self, wanted: &Wanted, result: &dyn ResultSet) -> Result<Verdict, UploadError> {
        let found = match result.extract(&wanted.path).await {
            Ok(path) => list(wanted, path),
            Err(error) => Err(error.into()),
        };
        match found {
            Ok(files) => {
                for (name, path) in files {
                    self.upload(wanted, name, ArtifactSource::File(path))
                        .await?;
                }
                Ok(Verdict::Success)
            }
            Err(_) if wanted.optional => {
                self.run.context.log(format_args!(
                    "Optional artifact `{}` is not there",
                    wanted.name
                ));
                Ok(Verdict::Success)
            }
            Err(absence) => self.upload_absence(wanted, absence).await,
        }
    }

    async fn upload(
        &self,
        wanted: &Wanted,
        name: String,
        source: ArtifactSource,
    ) -> Result<(), UploadError> {
        let content_type = wanted
            .content_type
            .clone()
            .unwrap_or_else(|| content_type_of(&name).to_owned());
        let body = S3Artifact {
            content_type,
            encoding: ContentEncoding::Auto,
            source,
        };
        self.run.monitor().debug(format_args!("uploading `{name}`"));
        self.send(Artifact {
            name,
            expires: wanted.expires,
            content: ArtifactBody::S3(body),
        })
        .await
    }

    async fn upload_absence(
        &self,
        wanted: &Wanted,
        absence: Absence,
    ) -> Result<Verdict, UploadError> {
        self.run.context.log_error(format_args!(
            "Artifact `{}`: {}",
            wanted.name, absence.message
        ));
        let body = ErrorArtifact {
            reason: absence.reason,
            message: absence.message,
        };
        let artifact = Artifact {
            name: wanted.name.clone(),
            expires: wanted.expires,
            content: ArtifactBody::Error(body),
        };
        self.send(artifact).await?;
        Ok(Verdict::Failure)
    }

    async fn send(&self, artifact: Artifact) -> Result<(), UploadError> {
        self.run.context.upload(&artifact).await?;
        self.run.record.add_artifact(artifact.name);
        Ok(())
    }
}

/// Why there is nothing to upload.
struct Absence {
    reason: ArtifactErrorReason,
    message: String,
}

impl From<ExtractError> for Absence {
    fn from(error: ExtractError) -> Self {
        let reason = match &error {
            ExtractError::Missing { .. } => ArtifactErrorReason::FileMissing,
            ExtractError::Outside { .. } => ArtifactErrorReason::InvalidResource,
            ExtractError::Unreadable { .. } => ArtifactErrorReason::NotReadable,
        };
        Self {
            reason,
            message: chain(&error),
        }
    }
}

/// The files to upload, each with the name of its artifact.
fn list(wanted: &Wanted, path: PathBuf) -> Result<Vec<(String, PathBuf)>, Absence> {
    match wanted.kind {
        Kind::File if path.is_file() => Ok(vec![(wanted.name.clone(), path)]),
        Kind::Directory if path.is_dir() => {
            let mut files = Vec::new();
            walk(&path, wanted.name.trim_end_matches('/'), &mut files).map_err(|source| {
                Absence::from(ExtractError::Unreadable {
                    path: wanted.path.clone(),
                    source,
                })
            })?;
            files.sort_unstable();
            Ok(files)
        }
        kind => {
            let expected = match kind {
                Kind::File => "plain file",
                Kind::Directory => "directory",
            };
            let message = format!("`{}` is no {expected}", wanted.path);
            Err(Absence {
                reason: ArtifactErrorReason::InvalidResource,
                message,
            })
        }
    }
}

/// Lists plain files; links are left out, since they may lead anywhere.
fn walk(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &name, files)?;
        } else if kind.is_file() {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}

/// Tells the MIME type from the name; what browsers cannot show is a stream of bytes.
fn content_type_of(name: &str) -> &'static str {
    mime_guess::from_path(name)
        .first_raw()
        .unwrap_or("application/octet-stream")
}
