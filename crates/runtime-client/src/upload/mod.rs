//! Uploads artifacts.
//!
//! For the kinds that have bytes: the source is opened once and read in one pass for each attempt,
//! which computes the hashes while it sends. What needs compressing is compressed before, so that the
//! length is known.

mod deliver;
mod digests;
mod encoding;
mod feed;
mod gzip;
mod object;
mod plain_file;
mod s3;
mod source;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::artifact::{
    Artifact, ArtifactBody, ArtifactSource, ArtifactUploader, ErrorArtifact, UploadError, Uploaded,
};
use runtime_core::queue::{ArtifactRequest, Queue};
use runtime_core::{ApiError, Run};

use self::deliver::{Undelivered, declare};
use self::digests::Digests;
use self::source::{Fault, Source};
use crate::Client;

/// What the queue takes of the message of an error artifact.
const LONGEST_MESSAGE: usize = 4096;

#[async_trait]
impl ArtifactUploader for Client {
    /// Of all uploads over all clients of a deployment value, at most
    /// [`concurrent_uploads`](crate::ClientSettings::concurrent_uploads) run; the others wait.
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
            _ => return Err(declare(name, unknown_kind())),
        };
        let declared = self.create_artifact(run, name, &request).await;
        declared
            .map(|_| Uploaded::default())
            .map_err(|error| declare(name, error))
    }
}

/// Never later than the task; whole milliseconds, which is what the queue keeps and compares.
fn expiry(artifact: &Artifact, task_expires: Timestamp) -> Timestamp {
    let expires = artifact
        .expires
        .map_or(task_expires, |expires| expires.min(task_expires));
    Timestamp::from_millisecond(expires.as_millisecond()).unwrap_or(expires)
}

fn error_request(content: &ErrorArtifact, expires: Timestamp) -> ArtifactRequest {
    ArtifactRequest::Error {
        reason: content.reason.clone(),
        message: content.message.chars().take(LONGEST_MESSAGE).collect(),
        expires,
    }
}

fn unknown_kind() -> ApiError {
    ApiError::Request {
        method: "queue.createArtifact",
        source: "this version of runtime-client does not know the kind of artifact".into(),
    }
}

/// Which artifact of which source, for errors.
struct Origin<'a> {
    name: &'a str,
    source: &'a ArtifactSource,
}

impl Origin<'_> {
    async fn open(&self) -> Result<Arc<Source>, UploadError> {
        let source = self.source.clone();
        let opened = blocking(move || Source::open(&source)).await;
        opened
            .map(Arc::new)
            .map_err(|source| self.unreadable(source))
    }

    fn failure(&self, failure: Undelivered) -> UploadError {
        match failure {
            Undelivered::Store(error) => error,
            Undelivered::Source(fault) => self.fault(fault),
        }
    }

    fn fault(&self, fault: Fault) -> UploadError {
        let name = self.name.to_owned();
        match fault {
            Fault::Read(source) => self.unreadable(source),
            Fault::Changed { expected, found } => UploadError::Changed {
                name,
                expected,
                found,
            },
            Fault::Sink(source) => UploadError::Send {
                name,
                attempts: 0,
                source: Box::new(CannotSpool(source)),
            },
        }
    }

    fn unreadable(&self, source: io::Error) -> UploadError {
        let path = match self.source {
            ArtifactSource::File(path) | ArtifactSource::FileWithoutLinks(path) => path.clone(),
            ArtifactSource::Bytes(_) => PathBuf::new(),
        };
        UploadError::Read {
            name: self.name.to_owned(),
            path,
            source,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot keep a compressed copy of it; is the disk of temporary files full?")]
struct CannotSpool(#[source] io::Error);

fn uploaded(digests: Digests) -> Uploaded {
    Uploaded::of_bytes(digests.length, digests.sha256).with_sha512(digests.sha512)
}

/// Runs what blocks on a thread for that; a panic goes on in the caller.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
