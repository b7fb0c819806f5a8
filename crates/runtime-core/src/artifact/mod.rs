//! Artifacts to upload, and the port that uploads them.

mod folder;
mod set;

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

pub use self::folder::{FolderFile, FolderListing, list_folder};
pub use self::set::{UploadOutcome, upload_all};

use crate::queue::ArtifactErrorReason;
use crate::{ApiError, BoxError, Run, error_chain};

/// Something that a task leaves behind under a name.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The name, such as `public/build/target.tar.gz`.
    pub name: String,
    /// When it is forgotten; never later than the task, which is also the default.
    pub expires: Option<Timestamp>,
    /// What it is.
    pub content: ArtifactBody,
}

/// What an artifact is made of, by the queue's storage types.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ArtifactBody {
    /// Bytes for the queue's own store.
    S3(S3Artifact),
    /// Bytes for the object service.
    Object(ObjectArtifact),
    /// A redirect.
    Reference(RedirectArtifact),
    /// Another name for an artifact of the same run.
    Link(LinkArtifact),
    /// A promise that could not be kept.
    Error(ErrorArtifact),
}

/// Bytes for the queue's own store.
#[derive(Clone, Debug)]
pub struct S3Artifact {
    /// The MIME type.
    pub content_type: String,
    /// How the bytes travel and are kept.
    pub encoding: ContentEncoding,
    /// Where the bytes come from.
    pub source: ArtifactSource,
}

/// Bytes for the object service, which takes them as they are.
#[derive(Clone, Debug)]
pub struct ObjectArtifact {
    /// The MIME type.
    pub content_type: String,
    /// Where the bytes come from.
    pub source: ArtifactSource,
}

/// Where bytes come from. A source is read once for each attempt, so it must stay the same.
#[derive(Clone)]
pub enum ArtifactSource {
    /// These bytes.
    Bytes(Bytes),
    /// A plain file; a link in its place is refused, and one above it is followed.
    File(PathBuf),
    /// A plain file at an absolute path that has no link, as [`Path::canonicalize`](std::path::Path::canonicalize)
    /// gives; a link that has appeared in it since is refused, wherever. For files of somebody who may still
    /// change the folders above them.
    FileWithoutLinks(PathBuf),
}

impl fmt::Debug for ArtifactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File(path) | Self::FileWithoutLinks(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How bytes travel and are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentEncoding {
    /// Compressed, unless the ending of the name or the MIME type tells that they already are.
    #[default]
    Auto,
    /// As they are.
    Identity,
    /// Compressed.
    Gzip,
}

/// A redirect.
#[derive(Clone, Debug)]
pub struct RedirectArtifact {
    /// The MIME type of what is there.
    pub content_type: String,
    /// Where it is.
    pub url: String,
}

/// Another name for an artifact of the same run.
#[derive(Clone, Debug)]
pub struct LinkArtifact {
    /// The MIME type.
    pub content_type: String,
    /// The name of the artifact that it stands for.
    pub artifact: String,
}

/// A promise that could not be kept.
#[derive(Clone, Debug)]
pub struct ErrorArtifact {
    /// Why.
    pub reason: ArtifactErrorReason,
    /// For people; cut at 4 096 characters.
    pub message: String,
}

/// What was uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Length of the bytes before any encoding; 0 for what has none.
    pub bytes: u64,
    /// SHA-256 of those bytes in lower-case hexadecimal, if there are any.
    pub sha256: Option<String>,
    /// SHA-512 of those bytes in lower-case hexadecimal, if the uploader computed it.
    pub sha512: Option<String>,
}

impl Uploaded {
    /// The facts about bytes that were uploaded.
    #[must_use]
    pub fn of_bytes(bytes: u64, sha256: String) -> Self {
        Self {
            bytes,
            sha256: Some(sha256),
            sha512: None,
        }
    }

    /// Adds the SHA-512.
    #[must_use]
    pub fn with_sha512(mut self, sha512: String) -> Self {
        self.sha512 = Some(sha512);
        self
    }
}

/// Uploads artifacts of a run, whatever their storage type.
#[async_trait]
pub trait ArtifactUploader: Send + Sync + fmt::Debug {
    /// Declares an artifact and brings its bytes to where the queue wants them.
    ///
    /// `task_expires` bounds the artifact's life.
    ///
    /// # Errors
    ///
    /// An [`UploadError`] once retries are exhausted or make no sense.
    ///
    /// # Cancel safety
    ///
    /// The artifact may be declared without bytes. The same upload can be started again.
    async fn upload(
        &self,
        run: &Run,
        task_expires: Timestamp,
        artifact: &Artifact,
    ) -> Result<Uploaded, UploadError>;
}

/// An artifact could not be uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The queue refused the declaration.
    #[error("cannot declare artifact `{name}`")]
    Declare {
        /// The artifact.
        name: String,
        /// What the queue said.
        source: ApiError,
    },

    /// The source could not be read.
    #[error("cannot read artifact `{name}` from `{}`", path.display())]
    Read {
        /// The artifact.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// The file changed while it was read.
    #[error(
        "artifact `{name}` changed while it was uploaded ({expected} bytes at first, {found} later)"
    )]
    Changed {
        /// The artifact.
        name: String,
        /// Bytes at first.
        expected: u64,
        /// Bytes later.
        found: u64,
    },

    /// The store refused the bytes.
    #[error(
        "the store answered {status} to artifact `{name}` after {attempts} attempts: {message}"
    )]
    Refused {
        /// The artifact.
        name: String,
        /// The HTTP status.
        status: u16,
        /// What the store calls it, such as `EntityTooLarge`, if it said so.
        code: Option<String>,
        /// The start of the answer's body.
        message: String,
        /// How long the store asked to wait.
        retry_after: Option<Duration>,
        /// How often it was tried.
        attempts: u32,
    },

    /// The bytes did not get through.
    #[error("cannot send artifact `{name}` after {attempts} attempts")]
    Send {
        /// The artifact.
        name: String,
        /// How often it was tried.
        attempts: u32,
        /// What the transport said last.
        source: BoxError,
    },
}

impl UploadError {
    /// Reports whether the same upload may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Declare { source, .. } => source.is_transient(),
            Self::Refused { code, .. } if code.as_deref().is_some_and(is_of_size) => false,
            Self::Refused { status, .. } => {
                matches!(status, 400 | 403 | 408 | 425 | 429 | 500..=599)
            }
            Self::Send { .. } => true,
            Self::Read { .. } | Self::Changed { .. } => false,
        }
    }

    /// What to declare in the place of an artifact that could not be read; `None` for other failures.
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

    /// Reports whether somebody else resolved the run, so that nothing more may be uploaded.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Declare { source, .. } if source.is_conflict())
    }
}

/// Stores say with a 400 both what another attempt mends (a time-out, an expired token) and what none does.
fn is_of_size(code: &str) -> bool {
    matches!(code, "EntityTooLarge" | "MaxMessageLengthExceeded")
}
