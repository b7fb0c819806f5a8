//! Uploads the files and folders that a task created.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ErrorArtifact, UploadError, UploadOutcome, upload_all,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{ApiError, BoxError, MalformedPayloadError, Section, TaskError, error_chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::artifact_files::{ArtifactLimit, FindError, Unavailable, find_file, find_folder};
use super::artifact_names::{LOG_ARTIFACTS, NAME_OF_LOG, check_artifacts};
use super::artifact_spec::{ArtifactSpec, Kind, check_expiry};
use super::artifact_spool::{CopyError, SpooledFile};
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

struct TaskArtifacts {
    run: TaskRun,
    specs: Vec<ArtifactSpec>,
    max_artifacts: usize,
}

#[async_trait]
impl TaskPlugin for TaskArtifacts {
    async fn stopped(&mut self, result: &Arc<dyn ResultSet>) -> Result<Verdict, TaskError> {
        let mut upload = UploadSummary {
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
            let files = self.find(spec, &**result, limit).await;
            for file in files.unwrap_or_else(|fault| {
                upload.fail(fault);
                Vec::new()
            }) {
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
                let results = join_all(part.iter().map(|file| self.upload_remote(file))).await;
                results.into_iter().for_each(|result| upload.add(result));
            }
        };
        let monitor = self.run.monitor();
        monitor.time_async("upload-duration", upload_all).await;
        let failed = upload.failure.map(TaskError::unavailable);
        failed.map_or(Ok(upload.verdict), Err)
    }
}

/// The result of the uploads so far.
struct UploadSummary {
    verdict: Verdict,
    /// The first failure whose reason is not the task.
    failure: Option<BoxError>,
}

impl UploadSummary {
    fn fail(&mut self, error: BoxError) {
        self.failure.get_or_insert(error);
    }

    /// Adds the result of one artifact.
    fn add(&mut self, result: Result<Verdict, BoxError>) {
        match result {
            Ok(verdict) => self.verdict = self.verdict.max(verdict),
            Err(error) => self.fail(error),
        }
    }
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
    /// Finds the files of one entry of the payload. The inner error is an error artifact for a file that is
    /// unavailable, the outer one a failure of the engine.
    async fn find<'a>(
        &self,
        spec: &'a ArtifactSpec,
        result: &dyn ResultSet,
        limit: ArtifactLimit,
    ) -> Result<Vec<Result<FoundArtifact<'a>, Box<Artifact>>>, BoxError> {
        let context = &self.run.context;
        let found = match spec.kind {
            Kind::File => find_file(&spec.name, &spec.path, result, limit).await,
            Kind::Directory => find_folder(&spec.name, &spec.path, result, limit).await,
        };
        match found {
            Ok(found) => {
                found.notes.iter().for_each(|note| context.log(note));
                let files = found.files.into_iter();
                let files = files.map(|(name, file)| match file {
                    // Processes that the task left running may replace any part of the path by a link.
                    Ok(TaskFile::Local(path)) => {
                        let source = ArtifactSource::FileWithoutLinks(path);
                        Ok(FoundArtifact::Ready(spec.file_artifact(name, source)))
                    }
                    Ok(TaskFile::Remote(file)) => {
                        Ok(FoundArtifact::Remote(FoundRemote { spec, name, file }))
                    }
                    Err(reason) => Err(self.unavailable(spec, name, reason)),
                });
                Ok(files.collect())
            }
            Err(FindError::Failed(error)) => Err(self.failed(&spec.name, error)),
            Err(FindError::Unavailable(reason)) if spec.optional && reason.is_missing() => {
                self.log_missing(&spec.name);
                Ok(Vec::new())
            }
            Err(FindError::Unavailable(reason)) => {
                Ok(vec![Err(self.unavailable(spec, spec.name.clone(), reason))])
            }
        }
    }

    /// Copies a remote file and uploads the copy, or an error artifact if the task has no such file. An error is a failure of
    /// the worker or of the engine.
    async fn upload_remote(&self, remote: &FoundRemote<'_>) -> Result<Verdict, BoxError> {
        let FoundRemote { spec, name, file } = remote;
        let context = &self.run.context;
        let copy = match SpooledFile::copy(&**file, &self.run.environment.storage).await {
            Ok(copy) => copy,
            Err(CopyError::Refused(source)) => {
                let path = name.clone();
                let error = match source.kind() {
                    // Only of an entry that is this file: a folder without one of its files is incomplete.
                    io::ErrorKind::NotFound if spec.optional && spec.kind == Kind::File => {
                        self.log_missing(name);
                        return Ok(Verdict::Success);
                    }
                    io::ErrorKind::NotFound => ExtractError::Missing { path },
                    _ => ExtractError::Unreadable { path, source },
                };
                let reason = Unavailable::of_task(error);
                let artifact = self.unavailable(spec, name.clone(), reason);
                let result = context.upload(&artifact).await;
                let uploaded = self.record(name.clone(), result.map(drop)).await?;
                return Ok(uploaded.max(Verdict::Failure));
            }
            Err(error) => return Err(self.failed(name, error)),
        };
        let source = ArtifactSource::File(copy.file.path().to_owned());
        let artifact = spec.file_artifact(name.clone(), source);
        // Without an error artifact for a file that cannot be read: the copy is a file of the worker.
        let result = context.upload(&artifact).await;
        self.record(name.clone(), result.map(drop)).await
    }

    /// Uploads artifacts and records the outcomes.
    async fn upload(&self, artifacts: Vec<Artifact>, upload: &mut UploadSummary) {
        let context = &self.run.context;
        let uploader = context.services().uploader;
        let expires = context.info().expires;
        for outcome in upload_all(&*uploader, context.run(), expires, artifacts).await {
            let UploadOutcome {
                name,
                result,
                has_error_artifact,
                ..
            } = outcome;
            let recorded = match result {
                Err(error) if has_error_artifact => {
                    self.log_failed_upload(&name, &error);
                    self.run.report.add_artifact(name);
                    Ok(Verdict::Failure)
                }
                result => self.record(name, result.map(drop)).await,
            };
            upload.add(recorded);
        }
    }

    fn log_missing(&self, name: &str) {
        let context = &self.run.context;
        context.log(format_args!("Optional artifact `{name}` does not exist"));
    }

    fn log_failed_upload(&self, name: &str, error: &UploadError) {
        let message = error_chain(error);
        let context = &self.run.context;
        context.log_error(format_args!("Cannot upload `{name}`: {message}"));
    }

    /// Logs the reason why a file is unavailable, and creates the error artifact for it.
    fn unavailable(&self, spec: &ArtifactSpec, name: String, reason: Unavailable) -> Box<Artifact> {
        let context = &self.run.context;
        context.log_error(format_args!("Artifact `{name}`: {}", reason.message));
        Box::new(spec.error_artifact(name, reason))
    }

    /// Logs a failure of the engine or of the worker's storage.
    fn failed(&self, name: &str, error: impl Into<BoxError>) -> BoxError {
        let error = error.into();
        let message = error_chain(&*error);
        let context = &self.run.context;
        context.log_error(format_args!("Artifact `{name}`: {message}"));
        error
    }

    /// Records the result of an upload. An artifact that the queue refuses as invalid fails the task; any other error is
    /// returned.
    async fn record(
        &self,
        name: String,
        result: Result<(), UploadError>,
    ) -> Result<Verdict, BoxError> {
        let Err(error) = result else {
            self.run.report.add_artifact(name);
            return Ok(Verdict::Success);
        };
        self.log_failed_upload(&name, &error);
        if !is_refused_as_invalid(&error) {
            return Err(error.into());
        }
        // With the expiry of the task, since the requested one may be the reason. Only for readers: the log has the
        // message already.
        let artifact = Artifact {
            name,
            expires: None,
            content: ArtifactBody::Error(ErrorArtifact {
                reason: ArtifactErrorReason::InvalidResource,
                message: error_chain(&error),
            }),
        };
        if self.run.context.upload(&artifact).await.is_ok() {
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
