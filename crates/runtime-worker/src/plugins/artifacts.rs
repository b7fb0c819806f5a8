//! Uploads what a task made.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ContentEncoding, ErrorArtifact, S3Artifact,
    UploadError, UploadOutcome, list_folder, upload_all,
};
use runtime_core::queue::ArtifactErrorReason;
use runtime_core::{Section, TaskError, Timestamp, error_chain};
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
        let mut found = Found::default();
        for wanted in &self.wanted {
            self.find(wanted, &**result, &mut found).await;
        }
        let context = &self.run.context;
        let uploader = context.services().uploader;
        let expires = context.info().expires;
        let outcomes = upload_all(&*uploader, context.run(), expires, found.artifacts).await;
        let mut failure = None;
        for outcome in outcomes {
            match self.note(outcome) {
                Ok(verdict) => found.verdict = found.verdict.max(verdict),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(found.verdict), |error| {
            Err(TaskError::unavailable(error))
        })
    }
}

/// What there is to upload, and what that says about the task.
struct Found {
    artifacts: Vec<Artifact>,
    verdict: Verdict,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            artifacts: Vec::new(),
            verdict: Verdict::Success,
        }
    }
}

impl TaskArtifacts {
    /// Looks for what one entry of the payload names.
    async fn find(&self, wanted: &Wanted, result: &dyn ResultSet, found: &mut Found) {
        let files = match result.extract(&wanted.path).await {
            Ok(path) => list_elsewhere(wanted.clone(), path).await,
            Err(error) => Err(error.into()),
        };
        match files {
            Ok(listed) => {
                for (name, file) in listed {
                    match file {
                        Ok(path) => found.artifacts.push(wanted.artifact(name, path)),
                        Err(absence) => self.miss(wanted, name, absence, found),
                    }
                }
            }
            Err(_) if wanted.optional => self.run.context.log(format_args!(
                "Optional artifact `{}` is not there",
                wanted.name
            )),
            Err(absence) => self.miss(wanted, wanted.name.clone(), absence, found),
        }
    }

    /// Tells why something is missing, in the log and in its place.
    fn miss(&self, wanted: &Wanted, name: String, absence: Absence, found: &mut Found) {
        self.run
            .context
            .log_error(format_args!("Artifact `{name}`: {}", absence.message));
        found.artifacts.push(wanted.absent(name, absence));
        found.verdict = Verdict::Failure;
    }

    /// Notes what became of an artifact. One that turned out to be unreadable fails the task.
    fn note(&self, outcome: UploadOutcome) -> Result<Verdict, Box<UploadError>> {
        let UploadOutcome {
            name,
            result,
            has_error_artifact,
            ..
        } = outcome;
        let Err(error) = result else {
            self.run.record.add_artifact(name);
            return Ok(Verdict::Success);
        };
        self.run.context.log_error(format_args!(
            "Cannot upload `{name}`: {}",
            error_chain(&error)
        ));
        if !has_error_artifact {
            return Err(Box::new(error));
        }
        self.run.record.add_artifact(name);
        Ok(Verdict::Failure)
    }
}

impl Wanted {
    fn artifact(&self, name: String, path: PathBuf) -> Artifact {
        let content_type = self
            .content_type
            .clone()
            .unwrap_or_else(|| content_type_of(&name).to_owned());
        let body = S3Artifact {
            content_type,
            encoding: ContentEncoding::Auto,
            source: ArtifactSource::FileWithoutLinks(path),
        };
        Artifact {
            name,
            expires: self.expires,
            content: ArtifactBody::S3(body),
        }
    }

    fn absent(&self, name: String, absence: Absence) -> Artifact {
        let body = ErrorArtifact {
            reason: absence.reason,
            message: absence.message,
        };
        Artifact {
            name,
            expires: self.expires,
            content: ArtifactBody::Error(body),
        }
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
            message: error_chain(&error),
        }
    }
}

/// The name of an artifact, and the file for it.
type Listed = (String, Result<PathBuf, Absence>);

/// Lists where it holds up nobody: a folder may have very many files.
async fn list_elsewhere(wanted: Wanted, path: PathBuf) -> Result<Vec<Listed>, Absence> {
    let name = wanted.path.clone();
    let listed = tokio::task::spawn_blocking(move || list(&wanted, path)).await;
    // The only error is a panic.
    listed.unwrap_or_else(|error| Err(unreadable(&name, error.into())))
}

/// The files to upload, each with the name of its artifact, and the folders that cannot be read.
fn list(wanted: &Wanted, path: PathBuf) -> Result<Vec<Listed>, Absence> {
    match wanted.kind {
        Kind::File if path.is_file() => Ok(vec![(wanted.name.clone(), Ok(path))]),
        Kind::Directory if path.is_dir() => {
            let listing = list_folder(&path).map_err(|source| unreadable(&wanted.path, source))?;
            let above = wanted.name.trim_end_matches('/');
            let files = listing
                .files
                .into_iter()
                .map(|file| (format!("{above}/{}", file.name), Ok(file.path)));
            let folders = listing.unreadable.into_iter().map(|(folder, source)| {
                let absence = unreadable(&format!("{}/{}", wanted.path, folder.name), source);
                (format!("{above}/{}", folder.name), Err(absence))
            });
            Ok(files.chain(folders).collect())
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

fn unreadable(path: &str, source: std::io::Error) -> Absence {
    Absence::from(ExtractError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Tells the MIME type from the name; what browsers cannot show is a stream of bytes.
fn content_type_of(name: &str) -> &'static str {
    mime_guess::from_path(name)
        .first_raw()
        .unwrap_or("application/octet-stream")
}
