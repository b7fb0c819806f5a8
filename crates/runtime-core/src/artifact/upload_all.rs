//! Concurrent upload of several artifacts, each with its own result.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{Artifact, ArtifactBody, ArtifactUploader, UploadError, Uploaded};
use crate::id::Run;
use crate::monitor::traced;

/// Maximum number of concurrent uploads. The uploader may apply a lower limit.
const MAX_CONCURRENT_UPLOADS: usize = 32;

/// The outcome of one artifact in [`upload_all`].
#[derive(Debug)]
#[non_exhaustive]
pub struct UploadOutcome {
    /// The name of the artifact.
    pub name: String,
    /// Length and hashes, or the error.
    pub result: Result<Uploaded, UploadError>,
    /// Whether an error artifact was declared instead, which shows readers the reason.
    pub has_error_artifact: bool,
}

/// Uploads artifacts concurrently. A failure does not affect the other uploads.
///
/// If a file cannot be read (it is missing, a folder or a link, or the permission is missing), an
/// [error artifact](UploadError::to_error_artifact) is declared instead. Outcomes are in the order of
/// `artifacts`. Names must be unique: two uploads with the same name race.
///
/// # Cancel safety
///
/// Not cancel safe: some artifacts may be uploaded and some only declared. The same upload can be
/// repeated.
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
    let attributes = || vec![("artifact", artifact.name.clone())];
    let upload = uploader.upload(run, task_expires, &artifact);
    let result = traced("upload", attributes, upload).await;
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
