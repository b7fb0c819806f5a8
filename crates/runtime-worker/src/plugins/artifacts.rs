//! Uploads the files and folders that a task created.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, ErrorArtifact,
    S3Artifact, UploadError, UploadOutcome, list_folder, upload_all,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{Section, TaskError, Timestamp, error_chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::engine::{ExtractError, ResultSet};
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::Verdict;
use crate::task_run::TaskRun;

/// Reads `artifacts` and uploads files and folders.
///
/// A failed upload does not prevent the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Artifacts;

#[derive(Deserialize, JsonSchema)]
struct Payload {
    /// The files and folders to upload.
    #[serde(default)]
    artifacts: Vec<ArtifactSpec>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArtifactSpec {
    /// The name of the artifact, or the prefix of the names for a folder.
    #[schemars(length(min = 1))]
    name: String,
    /// Whether `path` is a file or a folder.
    #[serde(rename = "type")]
    kind: Kind,
    /// The path, relative to the working directory of the task.
    path: String,
    /// The expiry; by default, and at the latest, that of the task.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    expires: Option<Timestamp>,
    /// The MIME type; by default guessed from the name.
    content_type: Option<String>,
    /// Whether the path may be missing.
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
            to the folder of the task. For a missing path the worker creates an artifact of type `error` and
            fails the task, unless the entry is `optional`. Links to outside of the folder are not followed.
            ",
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let specs = run.payload_as::<Payload>()?.artifacts;
        let plugin = TaskArtifacts {
            run: run.clone(),
            specs,
        };
        Ok((!plugin.specs.is_empty()).then(|| Box::new(plugin) as Box<dyn TaskPlugin>))
    }
}

struct TaskArtifacts {
    run: TaskRun,
    specs: Vec<ArtifactSpec>,
}

#[async_trait]
impl TaskPlugin for TaskArtifacts {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let (mut artifacts, mut verdict) = (Vec::new(), Verdict::Success);
        for spec in &self.specs {
            for file in self.find(spec, &**result).await {
                artifacts.push(file.unwrap_or_else(|error_artifact| {
                    verdict = Verdict::Failure;
                    *error_artifact
                }));
            }
        }
        let context = &self.run.context;
        let uploader = context.services().uploader;
        let expires = context.info().expires;
        let upload = upload_all(&*uploader, context.run(), expires, artifacts);
        let outcomes = self
            .run
            .monitor()
            .time_async("upload-duration", upload)
            .await;
        let mut failure = None;
        for outcome in outcomes {
            match self.record(outcome) {
                Ok(of_artifact) => verdict = verdict.max(of_artifact),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(verdict), |error| Err(TaskError::unavailable(error)))
    }
}

impl TaskArtifacts {
    /// Finds the files of one entry of the payload. `Err` holds an error artifact for a file that is unavailable.
    async fn find(
        &self,
        spec: &ArtifactSpec,
        result: &dyn ResultSet,
    ) -> Vec<Result<Artifact, Box<Artifact>>> {
        let files = match result.extract(&spec.path).await {
            Ok(path) => list_files(spec.clone(), path).await,
            Err(error) => Err(error.into()),
        };
        match files {
            Ok(files) => files
                .into_iter()
                .map(|(name, file)| match file {
                    Ok(path) => Ok(spec.file_artifact(name, path)),
                    Err(reason) => Err(self.unavailable(spec, name, reason)),
                })
                .collect(),
            Err(_) if spec.optional => {
                let (context, name) = (&self.run.context, &spec.name);
                context.log(format_args!("Optional artifact `{name}` does not exist"));
                Vec::new()
            }
            Err(reason) => vec![Err(self.unavailable(spec, spec.name.clone(), reason))],
        }
    }

    /// Logs why a file is unavailable and creates the error artifact for it.
    fn unavailable(&self, spec: &ArtifactSpec, name: String, reason: Unavailable) -> Box<Artifact> {
        let context = &self.run.context;
        context.log_error(format_args!("Artifact `{name}`: {}", reason.message));
        Box::new(spec.error_artifact(name, reason))
    }

    /// Records the outcome of an upload. A file that could not be read fails the task; any other error is returned.
    fn record(&self, outcome: UploadOutcome) -> Result<Verdict, Box<UploadError>> {
        let UploadOutcome {
            name,
            result,
            has_error_artifact,
            ..
        } = outcome;
        let Err(error) = result else {
            self.run.report.add_artifact(name);
            return Ok(Verdict::Success);
        };
        self.run.context.log_error(format_args!(
            "Cannot upload `{name}`: {}",
            error_chain(&error)
        ));
        if !has_error_artifact {
            return Err(Box::new(error));
        }
        self.run.report.add_artifact(name);
        Ok(Verdict::Failure)
    }
}

impl ArtifactSpec {
    fn file_artifact(&self, name: String, path: PathBuf) -> Artifact {
        let content_type = self
            .content_type
            .clone()
            .unwrap_or_else(|| content_type_of(&name).to_owned());
        let body = S3Artifact {
            content_type,
            encoding: ContentEncoding::Auto,
            headers: ArtifactHeaders::new(),
            // Processes that the task left running may replace any part of the path by a link.
            source: ArtifactSource::FileWithoutLinks(path),
        };
        self.artifact(name, ArtifactBody::S3(body))
    }

    fn error_artifact(&self, name: String, unavailable: Unavailable) -> Artifact {
        let body = ErrorArtifact {
            reason: unavailable.reason,
            message: unavailable.message,
        };
        self.artifact(name, ArtifactBody::Error(body))
    }

    fn artifact(&self, name: String, content: ArtifactBody) -> Artifact {
        Artifact {
            name,
            expires: self.expires,
            content,
        }
    }
}

/// The reason why a file cannot be uploaded.
struct Unavailable {
    reason: ArtifactErrorReason,
    message: String,
}

impl From<ExtractError> for Unavailable {
    fn from(error: ExtractError) -> Self {
        let reason = match &error {
            ExtractError::Missing { .. } => ArtifactErrorReason::FileMissing,
            ExtractError::Outside { .. } => ArtifactErrorReason::InvalidResource,
            ExtractError::Unreadable { .. } => ArtifactErrorReason::NotReadable,
        };
        Self {
            reason,
            message: error_chain(&error),
        }
    }
}

/// The name of an artifact and its file.
type ListedFile = (String, Result<PathBuf, Unavailable>);

/// Lists the files on a blocking thread: a folder may contain millions.
async fn list_files(spec: ArtifactSpec, path: PathBuf) -> Result<Vec<ListedFile>, Unavailable> {
    let task_path = spec.path.clone();
    let listed = tokio::task::spawn_blocking(move || list_blocking(&spec, path)).await;
    // The only join error is a panic, since the task is never aborted.
    listed.unwrap_or_else(|error| Err(unreadable(&task_path, error.into())))
}

/// Lists the files to upload with the names of their artifacts, and the folders that cannot be read.
fn list_blocking(spec: &ArtifactSpec, path: PathBuf) -> Result<Vec<ListedFile>, Unavailable> {
    match spec.kind {
        Kind::File if path.is_file() => Ok(vec![(spec.name.clone(), Ok(path))]),
        Kind::Directory if path.is_dir() => {
            let listing = list_folder(&path).map_err(|source| unreadable(&spec.path, source))?;
            let prefix = spec.name.trim_end_matches('/');
            let files = listing
                .files
                .into_iter()
                .map(|file| (format!("{prefix}/{}", file.name), Ok(file.path)));
            let folders = listing.unreadable.into_iter().map(|(folder, source)| {
                let reason = unreadable(&format!("{}/{}", spec.path, folder.name), source);
                (format!("{prefix}/{}", folder.name), Err(reason))
            });
            Ok(files.chain(folders).collect())
        }
        kind => {
            let expected = match kind {
                Kind::File => "plain file",
                Kind::Directory => "directory",
            };
            let message = format!("`{}` is not a {expected}", spec.path);
            Err(Unavailable {
                reason: ArtifactErrorReason::InvalidResource,
                message,
            })
        }
    }
}

fn unreadable(path: &str, source: std::io::Error) -> Unavailable {
    Unavailable::from(ExtractError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Guesses the MIME type from the name. Unknown extensions are served as bytes, which browsers download.
fn content_type_of(name: &str) -> &'static str {
    mime_guess::from_path(name)
        .first_raw()
        .unwrap_or("application/octet-stream")
}
