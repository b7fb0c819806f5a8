//! Concurrent upload of several artifacts, each with its own result.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{Artifact, ArtifactBody, ArtifactUploader, UploadError, Uploaded};
use crate::id::Run;

/// Maximum number of concurrent calls to the uploader, which may apply a lower limit itself.
const MAX_CONCURRENT_UPLOADS: usize = 32;

/// The outcome of one artifact in [`upload_all`].
#[derive(Debug)]
#[non_exhaustive]
pub struct UploadOutcome {
    /// The name of the artifact.
    pub name: String,
    /// Length and hashes, or the error.
    pub result: Result<Uploaded, UploadError>,
    /// Whether an error artifact was declared instead, so that readers see the reason.
    pub has_error_artifact: bool,
}

/// Uploads artifacts concurrently. A failure does not affect the other uploads.
///
/// For a file that cannot be read (missing, a folder, a link, no permission) an
/// [error artifact](UploadError::to_error_artifact) is declared instead. Outcomes are in the order of
/// `artifacts`. Names must be unique: the order of two uploads with the same name is undefined.
///
/// # Cancel safety
///
/// Any subset of the artifacts may be uploaded, and some declared without bytes. The same upload can
/// be started again.
pub async fn upload_all(
    uploader: &dyn ArtifactUploader,
    run: &Run,
    task_expires: Timestamp,
    artifacts: Vec<Artifact>,
) -> Vec<UploadOutcome> {
    let uploads =
        stream::iter(artifacts).map(|artifact| upload_one(uploader, run, task_expires, artifact));
    uploads.buffered(MAX_CONCURRENT_UPLOADS).collect().await
}

async fn upload_one(
    uploader: &dyn ArtifactUploader,
    run: &Run,
    task_expires: Timestamp,
    artifact: Artifact,
) -> UploadOutcome {
    let result = uploader.upload(run, task_expires, &artifact).await;
    let error_artifact = result
        .as_ref()
        .err()
        .and_then(UploadError::to_error_artifact);
    let has_error_artifact = if let Some(error_artifact) = error_artifact {
        let replacement = Artifact {
            content: ArtifactBody::Error(error_artifact),
            ..artifact.clone()
        };
        let declared = uploader.upload(run, task_expires, &replacement).await;
        declared.is_ok()
    } else {
        false
    };
    UploadOutcome {
        name: artifact.name,
        result,
        has_error_artifact,
    }
}
