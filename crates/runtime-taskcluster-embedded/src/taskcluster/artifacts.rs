//! Access to artifacts for tests.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use percent_encoding::utf8_percent_encode;

use super::Taskcluster;
use crate::error::RequestError;
use crate::request::header_text;
use crate::services::queue::found_artifact::FoundArtifact;
use crate::services::s3::presign::PATH_ESCAPES;
use crate::state::artifact::DeclaredArtifact;

/// The reason why an artifact could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadArtifactError {
    /// The artifact does not exist or is not visible yet.
    #[error("failed to find artifact `{name}` of task {task_id}")]
    Find {
        /// The id of the task.
        task_id: String,
        /// The name of the artifact.
        name: String,
        /// The error of the queue.
        source: RequestError,
    },

    /// The artifact has no stored content, because it is a reference or an error.
    #[error("artifact `{name}` is of type {storage_type} and has no stored content")]
    Elsewhere {
        /// The name of the artifact, after links were followed.
        name: String,
        /// The storage type of the artifact.
        storage_type: &'static str,
    },

    /// The artifact was declared but never uploaded.
    #[error("artifact `{name}` was declared but never uploaded")]
    NotUploaded {
        /// The name of the artifact, after links were followed.
        name: String,
    },

    /// The stored file could not be read.
    #[error("failed to read the content of artifact `{name}`")]
    Read {
        /// The name of the artifact, after links were followed.
        name: String,
        /// The cause.
        source: io::Error,
    },
}

/// The uploaded content of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredArtifact {
    /// The content type of the upload.
    pub content_type: Option<String>,
    /// The content encoding of the upload.
    pub content_encoding: Option<String>,
    /// All stored headers of the upload: these two, `cache-control`, `content-disposition` and `content-language`.
    pub headers: HeaderMap,
    /// The uploaded bytes, still encoded.
    pub bytes: Vec<u8>,
}

impl StoredArtifact {
    /// Returns the bytes without a gzip encoding.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not valid gzip although their encoding is `gzip`.
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
    /// Returns the artifacts of a run by name, including those that are not visible yet.
    ///
    /// # Errors
    ///
    /// Fails if the task does not exist.
    pub fn artifacts(
        &self,
        task_id: &str,
        run_id: u32,
    ) -> Result<Vec<DeclaredArtifact>, RequestError> {
        self.context.read(|state| {
            state.task(task_id)?;
            Ok(state.artifacts.of_run(task_id, run_id).cloned().collect())
        })
    }

    /// Returns the URL that redirects to an artifact. Private artifacts require a signed request.
    #[must_use]
    pub fn artifact_url(&self, task_id: &str, run_id: u32, name: &str) -> String {
        let name = utf8_percent_encode(name, PATH_ESCAPES);
        format!(
            "{}/api/queue/v1/task/{task_id}/runs/{run_id}/artifacts/{name}",
            self.root_url()
        )
    }

    /// Reads an artifact of the latest run, following links.
    ///
    /// # Errors
    ///
    /// Fails if the artifact does not exist, has no stored content, or cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn read_artifact(
        &self,
        task_id: &str,
        name: &str,
    ) -> Result<StoredArtifact, ReadArtifactError> {
        let found = FoundArtifact::find(&self.context, task_id, None, name, |_| Ok(()));
        let found = found.map_err(|source| ReadArtifactError::Find {
            task_id: task_id.to_owned(),
            name: name.to_owned(),
            source,
        })?;
        let name = found.artifact.name.clone();
        let key = found.key().ok_or_else(|| ReadArtifactError::Elsewhere {
            name: name.clone(),
            storage_type: found.artifact.kind.storage_type(),
        })?;
        let blob = self.context.read(|state| state.blobs.get(&key));
        let blob = blob.ok_or_else(|| ReadArtifactError::NotUploaded { name: name.clone() })?;
        let bytes = blob.read().await;
        let headers = blob.headers();
        Ok(StoredArtifact {
            content_type: header_text(&headers, CONTENT_TYPE).map(str::to_owned),
            content_encoding: header_text(&headers, CONTENT_ENCODING).map(str::to_owned),
            headers,
            bytes: bytes.map_err(|source| ReadArtifactError::Read { name, source })?,
        })
    }

    /// Reads an artifact as [`read_artifact`](Self::read_artifact), without its gzip encoding, as text. The character
    /// U+FFFD replaces invalid UTF-8.
    ///
    /// # Errors
    ///
    /// Fails as [`read_artifact`](Self::read_artifact), and if the gzip encoding is invalid.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    pub async fn read_artifact_text(
        &self,
        task_id: &str,
        name: &str,
    ) -> Result<String, ReadArtifactError> {
        let stored = self.read_artifact(task_id, name).await?;
        let decoded = stored.decoded();
        let decoded = decoded.map_err(|source| ReadArtifactError::Read {
            name: name.to_owned(),
            source,
        })?;
        Ok(String::from_utf8_lossy(&decoded).into_owned())
    }
}
