//! Several artifacts at once, each with a result of its own.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{Artifact, ArtifactBody, ArtifactUploader, UploadError, Uploaded};
use crate::Run;

/// How many uploads are begun before the first has ended. The uploader may let fewer of them run.
const BEGUN: usize = 32;

/// What became of one artifact of several.
#[derive(Debug)]
#[non_exhaustive]
pub struct UploadOutcome {
    /// The name of the artifact.
    pub name: String,
    /// What is known of the bytes, or why they are not there.
    pub result: Result<Uploaded, UploadError>,
    /// Whether an error artifact stands in its place and tells readers why.
    pub is_explained: bool,
}

/// Uploads artifacts side by side; one that fails does not keep the others from arriving.
///
/// Of what cannot be read (it has vanished, is a folder or a link, or may not be read) an
/// [error artifact](UploadError::to_error_artifact) is declared in its place. The outcomes are in the
/// order of the artifacts. Names should differ: of two uploads with one name either may come last.
///
/// # Cancel safety
///
/// Some artifacts may be there, others not, and some declared without bytes. The same upload can be
/// started again.
pub async fn upload_all(
    uploader: &dyn ArtifactUploader,
    run: &Run,
    task_expires: Timestamp,
    artifacts: Vec<Artifact>,
) -> Vec<UploadOutcome> {
    let uploads =
        stream::iter(artifacts).map(|artifact| upload_one(uploader, run, task_expires, artifact));
    uploads.buffered(BEGUN).collect().await
}

async fn upload_one(
    uploader: &dyn ArtifactUploader,
    run: &Run,
    task_expires: Timestamp,
    artifact: Artifact,
) -> UploadOutcome {
    let result = uploader.upload(run, task_expires, &artifact).await;
    let absence = result
        .as_ref()
        .err()
        .and_then(UploadError::to_error_artifact);
    let is_explained = match absence {
        None => false,
        Some(absence) => {
            let content = ArtifactBody::Error(absence);
            let in_its_place = Artifact {
                content,
                ..artifact.clone()
            };
            let declared = uploader.upload(run, task_expires, &in_its_place).await;
            declared.is_ok()
        }
    };
    UploadOutcome {
        name: artifact.name,
        result,
        is_explained,
    }
}
