//! An entry of `artifacts` in the payload.

use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactHeaders, ArtifactSource, ContentEncoding, ErrorArtifact,
    S3Artifact,
};
use runtime_core::clock::deserialize_optional_timestamp;
use runtime_core::{MalformedPayloadError, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::artifact_files::Unavailable;
use super::artifact_names::content_type_of;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ArtifactSpec {
    /// The name of the artifact, or the prefix of the names for a folder.
    #[schemars(length(min = 1))]
    pub(super) name: String,
    /// Whether `path` is a file or a folder.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// The path, relative to the working directory of the task.
    pub(super) path: String,
    /// The expiry. Default and maximum: the expiry of the task.
    #[serde(default, deserialize_with = "deserialize_optional_timestamp")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    expires: Option<Timestamp>,
    /// The MIME type; by default guessed from the name.
    content_type: Option<String>,
    /// Whether the path may be missing.
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    File,
    Directory,
}

impl ArtifactSpec {
    pub(super) fn file_artifact(&self, name: String, source: ArtifactSource) -> Artifact {
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

    pub(super) fn error_artifact(&self, name: String, unavailable: Unavailable) -> Artifact {
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

/// Rejects artifacts that expired before the task was created, which the queue would refuse after the task has run.
///
/// The expiry is not compared with the local clock, which may be wrong.
pub(super) fn check_expiry(
    specs: &[ArtifactSpec],
    created: Timestamp,
) -> Result<(), MalformedPayloadError> {
    let problems = specs.iter().enumerate().filter_map(|(index, spec)| {
        let expires = spec.expires.filter(|expires| *expires <= created)?;
        Some(MalformedPayloadError::new(format!(
            "`payload.artifacts.{index}.expires`: {expires} is before the creation of the task"
        )))
    });
    MalformedPayloadError::merge(problems).map_or(Ok(()), Err)
}
