//! Artifacts, as workers declare them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::as_millis;

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeclaredArtifact {
    /// The name, for example `public/build/target.zip`.
    pub name: String,
    /// The declared content type, by default `application/binary`.
    pub content_type: String,
    /// The expiry time. Reads fail after it.
    pub expires: Timestamp,
    /// The declared length in bytes.
    pub content_length: Option<u64>,
    /// The storage type and its properties.
    pub kind: ArtifactKind,
}

/// The storage type of an artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// Bytes in the S3-like store.
    S3,
    /// Bytes in the object service.
    Object {
        /// The id of the upload.
        upload_id: String,
        /// Whether the worker has called `finishArtifact`. An unfinished artifact is not visible.
        finished: bool,
    },
    /// A redirect to another URL.
    Reference {
        /// The target of the redirect.
        url: String,
    },
    /// An alias of another artifact of the same run.
    Link {
        /// The name of the other artifact.
        artifact: String,
    },
    /// An error message instead of content.
    Error {
        /// The machine-readable reason.
        reason: String,
        /// The human-readable reason.
        message: String,
    },
}

impl ArtifactKind {
    /// Returns the `storageType` of requests and responses.
    #[must_use]
    pub fn storage_type(&self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Object { .. } => "object",
            Self::Reference { .. } => "reference",
            Self::Link { .. } => "link",
            Self::Error { .. } => "error",
        }
    }
}

/// An entry of `listArtifacts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactEntry {
    storage_type: &'static str,
    name: String,
    #[serde(serialize_with = "as_millis")]
    expires: Timestamp,
    content_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_length: Option<u64>,
}

impl DeclaredArtifact {
    /// Returns whether readers see the artifact: all except objects with an unfinished upload.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !matches!(
            self.kind,
            ArtifactKind::Object {
                finished: false,
                ..
            }
        )
    }

    pub(crate) fn entry(&self) -> ArtifactEntry {
        ArtifactEntry {
            storage_type: self.kind.storage_type(),
            name: self.name.clone(),
            expires: self.expires,
            content_type: self.content_type.clone(),
            content_length: self.content_length,
        }
    }

    /// Returns whether a second declaration of the same name is allowed.
    ///
    /// An equal declaration is, since workers retry, and it may extend the expiry. The URL of a
    /// reference may change, and a reference may become a link: workers publish the live log as a
    /// reference first and as a link to the finished log later. The content type of a link may
    /// change. An object has a new upload each time, so it is never equal.
    pub(crate) fn may_become(&self, new: &Self) -> bool {
        use ArtifactKind::{Error, Link, Reference, S3};
        let same_kind = match (&self.kind, &new.kind) {
            (S3, S3) | (Reference { .. }, Reference { .. } | Link { .. }) => true,
            (Link { .. }, Link { .. }) | (Error { .. }, Error { .. }) => self.kind == new.kind,
            _ => false,
        };
        let is_link = matches!(new.kind, Link { .. });
        let same_type = is_link || self.content_type == new.content_type;
        same_kind && same_type && new.expires >= self.expires
    }
}
