//! The port [`ArtifactUploader`].

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactUploader, ErrorArtifact, UploadError, Uploaded,
};
use runtime_core::queue::{ArtifactRequest, Queue};
use runtime_core::{ApiError, Run};

use super::deliver::declare_error;
use crate::client::Client;

/// The longest message of an error artifact that the queue accepts.
const MAX_MESSAGE_CHARS: usize = 4096;

#[async_trait]
impl ArtifactUploader for Client {
    /// At most [`concurrent_uploads`](crate::ClientSettings::concurrent_uploads) run at a time, over all clients of a
    /// deployment value. Others wait.
    async fn upload(
        &self,
        run: &Run,
        task_expires: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError> {
        let expires = expiry(artifact, task_expires);
        let name = &artifact.name;
        let request = match &artifact.content {
            ArtifactBody::S3(content) => return self.upload_s3(run, name, expires, content).await,
            ArtifactBody::Object(content) => {
                return self.upload_object(run, name, expires, content).await;
            }
            ArtifactBody::Reference(content) => ArtifactRequest::Reference {
                content_type: content.content_type.clone(),
                url: content.url.clone(),
                expires,
            },
            ArtifactBody::Link(content) => ArtifactRequest::Link {
                content_type: content.content_type.clone(),
                artifact: content.artifact.clone(),
                expires,
            },
            ArtifactBody::Error(content) => error_request(content, expires),
            _ => return Err(declare_error(name, unknown_kind())),
        };
        let declared = self.create_artifact(run, name, &request).await;
        declared
            .map(|_| Uploaded::default())
            .map_err(|error| declare_error(name, error))
    }
}

/// Returns the expiry of an artifact, which must not be later than that of its task.
///
/// In whole milliseconds, the precision of the queue: when an artifact is declared again, it compares the values.
fn expiry(artifact: &Artifact, task_expires: Timestamp) -> Timestamp {
    let expires = artifact
        .expires
        .map_or(task_expires, |expires| expires.min(task_expires));
    Timestamp::from_millisecond(expires.as_millisecond()).unwrap_or(expires)
}

fn error_request(content: &ErrorArtifact, expires: Timestamp) -> ArtifactRequest {
    ArtifactRequest::Error {
        reason: content.reason.clone(),
        message: content.message.chars().take(MAX_MESSAGE_CHARS).collect(),
        expires,
    }
}

fn unknown_kind() -> ApiError {
    ApiError::Request {
        method: "queue.createArtifact",
        source: "this version of runtime-client does not support the kind of artifact".into(),
    }
}
