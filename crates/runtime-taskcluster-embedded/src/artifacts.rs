//! A look at artifacts from the test that started the Taskcluster.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use percent_encoding::utf8_percent_encode;

use super::error::RequestError;
use super::services::queue::downloads::find;
use super::services::s3::sign::PATH;
use super::services::s3::store::Blob;
use super::state::artifact::Artifact;
use super::{ArtifactKind, Taskcluster};

/// Why the bytes of an artifact could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadArtifactError {
    /// There is no such artifact, or nobody can see it yet.
    #[error("failed to find artifact `{name}` of task {task_id}")]
    Find {
        /// The task.
        task_id: String,
        /// The name of the artifact.
        name: String,
        /// What the queue would say.
        source: RequestError,
    },

    /// The artifact has no bytes here: it is a reference or an error.
    #[error("artifact `{name}` is a {storage_type}, its bytes are not here")]
    Elsewhere {
        /// The name of the artifact, after links were followed.
        name: String,
        /// The kind of the artifact.
        storage_type: &'static str,
    },

    /// The artifact was declared, but nobody has uploaded it.
    #[error("artifact `{name}` was declared but never uploaded")]
    NotUploaded {
        /// The name of the artifact, after links were followed.
        name: String,
    },

    /// The file could not be read.
    #[error("failed to read the bytes of artifact `{name}`")]
    Read {
        /// The name of the artifact, after links were followed.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// An artifact as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredArtifact {
    /// The content type of the upload.
    pub content_type: Option<String>,
    /// The content encoding of the upload.
    pub content_encoding: Option<String>,
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
}

impl StoredArtifact {
    /// The bytes without their gzip encoding, if they have one.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not what their encoding says.
    pub fn decoded(&self) -> io::Result<Vec<u8>> {
        if self.content_encoding.as_deref() != Some("gzip") {
            return Ok(self.bytes.clone());
        }
        let mut bytes = Vec::new();
        MultiGzDecoder::new(&*self.bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Taskcluster {
    /// The artifacts of a run, by name, with those that readers do not see yet.
    ///
    /// # Errors
    ///
    /// Refuses if there is no such task.
    pub fn artifacts(&self, task_id: &str, run_id: u32) -> Result<Vec<Artifact>, RequestError> {
        self.shared.read(|state| {
            let of_run = state
                .task(task_id)?
                .artifacts
                .iter()
                .filter(|((run, _), _)| *run == run_id);
            Ok(of_run.map(|(_, artifact)| artifact.clone()).collect())
        })
    }

    /// The URL that redirects to an artifact; what is not public takes a signature.
    #[must_use]
    pub fn artifact_url(&self, task_id: &str, run_id: u32, name: &str) -> String {
        let name = utf8_percent_encode(name, PATH);
        format!(
            "{}/api/queue/v1/task/{task_id}/runs/{run_id}/artifacts/{name}",
            self.root_url()
        )
    }

    /// Reads an artifact of the latest run, following links.
    ///
    /// # Errors
    ///
    /// Fails if it is not there, has no bytes, or they cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn read_artifact(
        &self,
        task_id: &str,
        name: &str,
    ) -> Result<StoredArtifact, ReadArtifactError> {
        let found = find(&self.shared, task_id, None, name, |_| Ok(()));
        let found = found.map_err(|source| ReadArtifactError::Find {
            task_id: task_id.to_owned(),
            name: name.to_owned(),
            source,
        })?;
        let name = found.artifact.name.clone();
        let key = found.key().ok_or_else(|| ReadArtifactError::Elsewhere {
            name: name.clone(),
            storage_type: ArtifactKind::storage_type(&found.artifact.kind),
        })?;
        let blob = self.shared.read(|state| state.store.get(&key));
        let blob: Arc<Blob> =
            blob.ok_or_else(|| ReadArtifactError::NotUploaded { name: name.clone() })?;
        let bytes = tokio::fs::read(&blob.path).await;
        Ok(StoredArtifact {
            content_type: blob.content_type.clone(),
            content_encoding: blob.content_encoding.clone(),
            bytes: bytes.map_err(|source| ReadArtifactError::Read { name, source })?,
        })
    }
}
