//! Artifacts, and the port that uploads them.

mod folder;
mod headers;
mod source;
mod upload_all;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_gc::error_chain;

pub use self::folder::{FolderEntry, FolderListing, list_folder, list_folder_up_to};
pub use self::headers::{ArtifactHeaders, InvalidArtifactHeader};
pub use self::source::{ArtifactSource, ArtifactStream};
pub use self::upload_all::{UploadOutcome, upload_all};

use crate::api_error::ApiError;
use crate::error::BoxError;
use crate::id::Run;
use crate::queue::ArtifactErrorReason;
use crate::util::is_transient_status;

/// A named result of a task.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The name, such as `public/build/target.tar.gz`.
    pub name: String,
    /// The expiry; defaults to that of the task and never exceeds it.
    pub expires: Option<Timestamp>,
    /// The content.
    pub content: ArtifactBody,
}

/// The content of an artifact, by the queue's storage types.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ArtifactBody {
    /// Bytes in the queue's S3 bucket.
    S3(S3Artifact),
    /// Bytes in the object service.
    Object(ObjectArtifact),
    /// A redirect.
    Reference(RedirectArtifact),
    /// Another name for an artifact of the same run.
    Link(LinkArtifact),
    /// An artifact that could not be created.
    Error(ErrorArtifact),
}

/// Bytes for the queue's S3 bucket.
#[derive(Clone, Debug)]
pub struct S3Artifact {
    /// The MIME type.
    pub content_type: String,
    /// The encoding for transfer and storage.
    pub encoding: ContentEncoding,
    /// Additional headers, which readers receive with the bytes.
    pub headers: ArtifactHeaders,
    /// The source of the bytes.
    pub source: ArtifactSource,
}

/// Bytes for the object service, which stores them unencoded.
#[derive(Clone, Debug)]
pub struct ObjectArtifact {
    /// The MIME type.
    pub content_type: String,
    /// The source of the bytes.
    pub source: ArtifactSource,
}

/// The encoding of an artifact's bytes, for transfer and storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentEncoding {
    /// gzip, unless the artifact has at most 1 KiB, or its extension or MIME type indicates compressed data.
    #[default]
    Auto,
    /// Unencoded.
    Identity,
    /// gzip.
    Gzip,
    /// gzip, and the source is compressed already. [`Uploaded`] has length and hashes of the compressed bytes.
    Gzipped {
        /// Length in bytes before the compression.
        original_bytes: u64,
    },
}

/// A redirect.
#[derive(Clone, Debug)]
pub struct RedirectArtifact {
    /// The MIME type of the target.
    pub content_type: String,
    /// The target.
    pub url: String,
}

/// Another name for an artifact of the same run.
#[derive(Clone, Debug)]
pub struct LinkArtifact {
    /// The MIME type.
    pub content_type: String,
    /// The name of the target artifact.
    pub artifact: String,
}

/// An artifact that could not be created.
#[derive(Clone, Debug)]
pub struct ErrorArtifact {
    /// The reason.
    pub reason: ArtifactErrorReason,
    /// A message for humans, truncated to 4 096 characters.
    pub message: String,
}

/// Length and hashes of an uploaded artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Length in bytes before any encoding; 0 for artifacts without bytes.
    pub bytes: u64,
    /// SHA-256 of these bytes in lower-case hexadecimal; `None` for artifacts without bytes.
    pub sha256: Option<String>,
    /// SHA-512 of these bytes in lower-case hexadecimal; `None` unless the uploader computed it.
    pub sha512: Option<String>,
}

impl Uploaded {
    /// Creates the record of uploaded bytes.
    #[must_use]
    pub fn of_bytes(bytes: u64, sha256: String) -> Self {
        Self {
            bytes,
            sha256: Some(sha256),
            sha512: None,
        }
    }

    /// Sets the SHA-512.
    #[must_use]
    pub fn with_sha512(mut self, sha512: String) -> Self {
        self.sha512 = Some(sha512);
        self
    }
}

/// Uploads artifacts of a run, regardless of their storage type.
#[async_trait]
pub trait ArtifactUploader: Send + Sync + fmt::Debug {
    /// Declares an artifact and transfers its bytes to the storage that the queue assigns.
    ///
    /// `task_expires` is the upper bound of the artifact's expiry.
    ///
    /// # Errors
    ///
    /// An [`UploadError`] if the upload failed permanently or its retries are exhausted.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the artifact may be declared without bytes. The same upload can be repeated.
    async fn upload(
        &self,
        run: &Run,
        task_expires: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError>;
}

/// The error of uploading an artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The queue refused the declaration.
    #[error("cannot declare artifact `{name}`")]
    Declare {
        /// The name of the artifact.
        name: String,
        /// The error of the queue.
        source: ApiError,
    },

    /// The source could not be read.
    #[error("cannot read artifact `{name}`{}", from_file(path.as_deref()))]
    Read {
        /// The name of the artifact.
        name: String,
        /// The file; `None` for other sources.
        path: Option<PathBuf>,
        /// The error of the file or stream.
        source: std::io::Error,
    },

    /// The length of the file changed during the upload.
    #[error("artifact `{name}` changed during the upload from {expected} to {found} bytes")]
    Changed {
        /// The name of the artifact.
        name: String,
        /// Length in bytes at the start of the upload.
        expected: u64,
        /// Length in bytes found later.
        found: u64,
    },

    /// The storage refused the bytes.
    #[error("storage returned {status} for artifact `{name}` after {attempts} attempts: {message}")]
    Refused {
        /// The name of the artifact.
        name: String,
        /// The HTTP status.
        status: u16,
        /// The error code of the storage, such as `EntityTooLarge`, if present.
        code: Option<String>,
        /// The start of the response body.
        message: String,
        /// The delay before a retry that the storage requested.
        retry_after: Option<Duration>,
        /// The number of attempts.
        attempts: u32,
    },

    /// The object was declared, but the response with its upload was lost.
    #[error(
        "the response to the declaration of artifact `{name}` was lost, and the queue returns the upload of an object \
         only once; upload it under another name or as type `s3`"
    )]
    UploadLost {
        /// The name of the artifact.
        name: String,
        /// The error of the declaration.
        source: ApiError,
    },

    /// An object with other content has the name.
    #[error("artifact `{name}` exists with other content, and objects cannot be replaced")]
    ObjectExists {
        /// The name of the artifact.
        name: String,
    },

    /// The bytes could not be transferred.
    #[error("cannot send artifact `{name}` after {attempts} attempts")]
    Send {
        /// The name of the artifact.
        name: String,
        /// The number of attempts.
        attempts: u32,
        /// Whether a retry would fail in the same way, such as with an invalid certificate.
        is_permanent: bool,
        /// The transport error of the last attempt.
        source: BoxError,
    },
}

impl UploadError {
    /// Returns whether the same upload may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Declare { source, .. } => source.is_transient(),
            Self::Refused { code, .. } if code.as_deref().is_some_and(is_size_error) => false,
            // 403 may be an expired URL, and 400 an expired token: a retry gets a new URL from the queue.
            Self::Refused { status, .. } => {
                matches!(status, 400 | 403) || is_transient_status(*status)
            }
            Self::Send { is_permanent, .. } => !is_permanent,
            Self::Read { .. }
            | Self::Changed { .. }
            | Self::UploadLost { .. }
            | Self::ObjectExists { .. } => false,
        }
    }

    /// Returns the error artifact to declare instead of a file that cannot be read; `None` for other errors.
    #[must_use]
    pub fn to_error_artifact(&self) -> Option<ErrorArtifact> {
        let Self::Read { source, .. } = self else {
            return None;
        };
        let reason = match source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => ArtifactErrorReason::FileMissing,
            ErrorKind::PermissionDenied => ArtifactErrorReason::NotReadable,
            ErrorKind::IsADirectory | ErrorKind::InvalidInput => {
                ArtifactErrorReason::InvalidResource
            }
            _ => return None,
        };
        Some(ErrorArtifact {
            reason,
            message: error_chain(self),
        })
    }

    /// Returns whether the run is already resolved, so that further uploads are refused.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Declare { source, .. } if source.is_conflict())
    }
}

fn from_file(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" from `{}`", path.display()))
}

/// Returns whether an S3 error code is about the size. S3 sends such errors with status 400, as for time-outs
/// and expired tokens, but no retry of them can succeed.
fn is_size_error(code: &str) -> bool {
    matches!(code, "EntityTooLarge" | "MaxMessageLengthExceeded")
}
