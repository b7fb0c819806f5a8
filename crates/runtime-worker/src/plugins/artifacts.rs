//! Uploads the files and folders that a task created.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, ErrorArtifact,
    S3Artifact, UploadError, UploadOutcome, upload_all,
};
use runtime_core::clock::deserialize_optional_timestamp;
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{ApiError, MalformedPayloadError, Section, TaskError, Timestamp, error_chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::artifact_files::{ArtifactLimit, Unavailable, find_file, find_folder};
use super::artifact_names::{LOG_ARTIFACTS, NAME_OF_LOG, check_artifacts, content_type_of};
use super::artifact_spool::SpooledFile;
use crate::engine::{ExtractError, RemoteFile, ResultSet, TaskFile};
use crate::payload::schema_of;
use crate::plugin::{Plugin, TaskPlugin};
use crate::resolution::Verdict;
use crate::task_run::TaskRun;

/// Reads `artifacts` and uploads files and folders.
///
/// A failed upload does not prevent the others.
#[derive(Clone, Copy, Debug)]
pub struct Artifacts {
    max_artifacts: usize,
}

/// Default number of artifacts of a task. Their names and results need about 50 MB.
pub(crate) const DEFAULT_MAX_ARTIFACTS: usize = 100_000;

impl Artifacts {
    /// Creates the plugin with the maximum number of artifacts of a task, including the files and subfolders in
    /// folders. If a file or folder exceeds the maximum, an error artifact is created instead, and the task fails.
    #[must_use]
    pub fn new(max_artifacts: usize) -> Self {
        Self { max_artifacts }
    }
}

impl Default for Artifacts {
    /// Creates the plugin with a limit of 100 000 artifacts.
    fn default() -> Self {
        Self::new(DEFAULT_MAX_ARTIFACTS)
    }
}

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
    /// The expiry. Default and maximum: the expiry of the task.
    #[serde(default, deserialize_with = "deserialize_optional_timestamp")]
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

    fn check_payload(&self, payload: &Value) -> Result<(), MalformedPayloadError> {
        check_artifacts(payload)
    }

    fn documentation(&self) -> Vec<Section> {
        let max_artifacts = self.max_artifacts;
        vec![Section::new(
            "Artifacts",
            &format!(
                "
            Each entry of `artifacts` has a `name`, a `type` (`file` or `directory`) and a `path` relative
            to the folder of the task. For a missing path the worker creates an artifact of type `error` and
             fails the task, unless the entry is `optional`. Links are followed inside of the task's folder; others
             are left out, with a line in the log. Bytes of file names that are not printable ASCII are
             percent-encoded in the names of artifacts. Names must be unique and must not be those of the log.
             A task may have at most {max_artifacts} artifacts.
             "
             ),
        )]
    }

    async fn new_task_plugin(
        &self,
        run: &TaskRun,
    ) -> Result<Option<Box<dyn TaskPlugin>>, TaskError> {
        let specs = run.payload_as::<Payload>()?.artifacts;
        check_expiry(&specs, run.context.info().definition.created)?;
        let plugin = TaskArtifacts {
            run: run.clone(),
            specs,
            max_artifacts: self.max_artifacts,
        };
        Ok((!plugin.specs.is_empty()).then(|| Box::new(plugin) as Box<dyn TaskPlugin>))
    }
}

/// Rejects artifacts that expired before the task was created, which the queue would refuse after the task has run.
///
/// The expiry is not compared with the local clock, which may be wrong.
fn check_expiry(specs: &[ArtifactSpec], created: Timestamp) -> Result<(), MalformedPayloadError> {
    let problems = specs.iter().enumerate().filter_map(|(index, spec)| {
        let expires = spec.expires.filter(|expires| *expires <= created)?;
        Some(MalformedPayloadError::new(format!(
            "`payload.artifacts.{index}.expires`: {expires} is before the creation of the task"
        )))
    });
    MalformedPayloadError::merge(problems).map_or(Ok(()), Err)
}

struct TaskArtifacts {
    run: TaskRun,
    specs: Vec<ArtifactSpec>,
    max_artifacts: usize,
}

#[async_trait]
impl TaskPlugin for TaskArtifacts {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let mut upload = Upload {
            verdict: Verdict::Success,
            failure: None,
        };
        let (mut artifacts, mut remote) = (Vec::new(), Vec::new());
        let context = &self.run.context;
        let mut names = HashSet::new();
        for spec in &self.specs {
            // The error artifacts of entries beyond the limit are not bounded by it, but by the size of the payload.
            let found = artifacts.len() + remote.len();
            let limit = ArtifactLimit {
                remaining: self.max_artifacts.saturating_sub(found),
                max: self.max_artifacts,
            };
            for file in self.find(spec, &**result, limit).await {
                let found = file.unwrap_or_else(|error_artifact| {
                    upload.verdict = Verdict::Failure;
                    FoundArtifact::Ready(*error_artifact)
                });
                let name = found.name();
                if LOG_ARTIFACTS.contains(&name) {
                    context.log_error(format_args!("Artifact `{name}`: {NAME_OF_LOG}"));
                    upload.verdict = Verdict::Failure;
                } else if names.insert(name.to_owned()) {
                    match found {
                        FoundArtifact::Ready(artifact) => artifacts.push(artifact),
                        FoundArtifact::Remote(file) => remote.push(file),
                    }
                } else {
                    // The queue keeps one of them, and which one would depend on their upload times.
                    context.log_error(format_args!(
                        "Artifact `{name}`: another entry of `artifacts` has the same name"
                    ));
                    upload.verdict = Verdict::Failure;
                }
            }
        }
        let upload_all = async {
            self.upload(artifacts, &mut upload).await;
            // In parts, since each remote file needs a copy on disk.
            for part in remote.chunks(SpooledFile::MAX_COPIES) {
                let copies = join_all(part.iter().map(|file| self.copy(file))).await;
                let (artifacts, copies): (Vec<_>, Vec<_>) = copies.into_iter().unzip();
                if copies.iter().any(Option::is_none) {
                    upload.verdict = upload.verdict.max(Verdict::Failure);
                }
                self.upload(artifacts, &mut upload).await;
                // After the uploads, which read the copies.
                drop(copies);
            }
        };
        let monitor = self.run.monitor();
        monitor.time_async("upload-duration", upload_all).await;
        let failed = upload.failure.map(TaskError::unavailable);
        failed.map_or(Ok(upload.verdict), Err)
    }
}

/// The result of the uploads so far.
struct Upload {
    verdict: Verdict,
    failure: Option<Box<UploadError>>,
}

/// An artifact whose name is not checked yet.
enum FoundArtifact<'a> {
    Ready(Artifact),
    Remote(FoundRemote<'a>),
}

/// A file that has to be copied before its upload.
struct FoundRemote<'a> {
    spec: &'a ArtifactSpec,
    name: String,
    file: Arc<dyn RemoteFile>,
}

impl FoundArtifact<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Ready(artifact) => &artifact.name,
            Self::Remote(remote) => &remote.name,
        }
    }
}

impl TaskArtifacts {
    /// Finds the files of one entry of the payload. `Err` contains an error artifact for an unavailable file.
    async fn find<'a>(
        &self,
        spec: &'a ArtifactSpec,
        result: &dyn ResultSet,
        limit: ArtifactLimit,
    ) -> Vec<Result<FoundArtifact<'a>, Box<Artifact>>> {
        let context = &self.run.context;
        let found = match spec.kind {
            Kind::File => find_file(&spec.name, &spec.path, result, limit).await,
            Kind::Directory => find_folder(&spec.name, &spec.path, result, limit).await,
        };
        match found {
            Ok(found) => {
                found.notes.iter().for_each(|note| context.log(note));
                let files = found.files.into_iter();
                files
                    .map(|(name, file)| match file {
                        // Processes that the task left running may replace any part of the path by a link.
                        Ok(TaskFile::Local(path)) => {
                            let source = ArtifactSource::FileWithoutLinks(path);
                            Ok(FoundArtifact::Ready(spec.file_artifact(name, source)))
                        }
                        Ok(TaskFile::Remote(file)) => {
                            Ok(FoundArtifact::Remote(FoundRemote { spec, name, file }))
                        }
                        Err(reason) => Err(self.unavailable(spec, name, reason)),
                    })
                    .collect()
            }
            Err(_) if spec.optional => {
                let name = &spec.name;
                context.log(format_args!("Optional artifact `{name}` does not exist"));
                Vec::new()
            }
            Err(reason) => vec![Err(self.unavailable(spec, spec.name.clone(), reason))],
        }
    }

    /// Copies a remote file. Returns its artifact with the copy, or an error artifact.
    async fn copy(&self, remote: &FoundRemote<'_>) -> (Artifact, Option<SpooledFile>) {
        let FoundRemote { spec, name, file } = remote;
        match SpooledFile::copy(&**file, &self.run.environment.storage).await {
            Ok(copy) => {
                let source = ArtifactSource::File(copy.file.path().to_owned());
                (spec.file_artifact(name.clone(), source), Some(copy))
            }
            Err(source) => {
                let path = name.clone();
                let reason = Unavailable::from(ExtractError::Unreadable { path, source });
                (*self.unavailable(spec, name.clone(), reason), None)
            }
        }
    }

    /// Uploads artifacts and records the outcomes.
    async fn upload(&self, artifacts: Vec<Artifact>, upload: &mut Upload) {
        let context = &self.run.context;
        let uploader = context.services().uploader;
        let expires = context.info().expires;
        for outcome in upload_all(&*uploader, context.run(), expires, artifacts).await {
            match self.record(outcome).await {
                Ok(of_artifact) => upload.verdict = upload.verdict.max(of_artifact),
                Err(error) => upload.failure = upload.failure.take().or(Some(error)),
            }
        }
    }

    /// Logs the reason why a file is unavailable, and creates the error artifact for it.
    fn unavailable(&self, spec: &ArtifactSpec, name: String, reason: Unavailable) -> Box<Artifact> {
        let context = &self.run.context;
        context.log_error(format_args!("Artifact `{name}`: {}", reason.message));
        Box::new(spec.error_artifact(name, reason))
    }

    /// Records the outcome of an upload. A file that could not be read, or an artifact that the queue refuses as
    /// invalid, fails the task; any other error is returned.
    async fn record(&self, outcome: UploadOutcome) -> Result<Verdict, Box<UploadError>> {
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
        let message = error_chain(&error);
        let context = &self.run.context;
        context.log_error(format_args!("Cannot upload `{name}`: {message}"));
        if has_error_artifact {
            self.run.report.add_artifact(name);
            return Ok(Verdict::Failure);
        }
        if !is_refused_as_invalid(&error) {
            return Err(Box::new(error));
        }
        // With the expiry of the task, since the requested one may be the reason. Only for readers: the log has the
        // message already.
        let artifact = Artifact {
            name,
            expires: None,
            content: ArtifactBody::Error(ErrorArtifact {
                reason: ArtifactErrorReason::InvalidResource,
                message,
            }),
        };
        if context.upload(&artifact).await.is_ok() {
            self.run.report.add_artifact(artifact.name);
        }
        Ok(Verdict::Failure)
    }
}

/// Returns whether the payload asks for an artifact that the queue does not accept, such as one that expires in the
/// past. Retries cannot succeed, neither on this machine nor on another one.
fn is_refused_as_invalid(error: &UploadError) -> bool {
    let UploadError::Declare { source, .. } = error else {
        return false;
    };
    source.status() == Some(400) || matches!(source, ApiError::Request { .. })
}

impl ArtifactSpec {
    fn file_artifact(&self, name: String, source: ArtifactSource) -> Artifact {
        let content_type = self
            .content_type
            .clone()
            .unwrap_or_else(|| content_type_of(&name).to_owned());
        let body = S3Artifact {
            content_type,
            encoding: ContentEncoding::Auto,
            headers: ArtifactHeaders::new(),
            source,
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
