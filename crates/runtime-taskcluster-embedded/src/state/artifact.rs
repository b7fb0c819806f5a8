//! Artifacts: what tasks leave behind.

use jiff::Timestamp;
use serde::Serialize;

use crate::time::as_millis;

/// An artifact of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Artifact {
    /// The name, for example `public/build/target.zip`.
    pub name: String,
    /// The content type that was declared, `application/binary` where none was.
    pub content_type: String,
    /// When the artifact is forgotten.
    pub expires: Timestamp,
    /// The length that was declared, if one was.
    pub content_length: Option<u64>,
    /// What kind of artifact it is.
    pub kind: ArtifactKind,
}

/// The kinds of artifacts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// Bytes in the S3-like store.
    S3,
    /// Bytes in the object service.
    Object {
        /// The upload that fills it.
        upload_id: String,
        /// Whether the worker has said that it is complete; until then nobody sees it.
        finished: bool,
    },
    /// Something at another URL.
    Reference {
        /// Where it is.
        url: String,
    },
    /// Another artifact of the same run.
    Link {
        /// The name of the other artifact.
        artifact: String,
    },
    /// There is no such thing, and this is why.
    Error {
        /// The reason, for programs.
        reason: String,
        /// The reason, for people.
        message: String,
    },
}

impl ArtifactKind {
    /// The name of the kind in requests and answers.
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

/// An entry of a list of artifacts.
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

impl Artifact {
    /// Tells whether readers see it: all but objects whose upload is not finished.
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

    /// Tells whether a worker may declare `new` in place of this.
    ///
    /// The same again is fine, and may live longer. The URL of a reference may change, and a
    /// reference may become a link.
    pub(crate) fn accepts(&self, new: &Self) -> bool {
        use ArtifactKind::{Error, Link, Object, Reference, S3};
        let same = match (&self.kind, &new.kind) {
            (Reference { .. }, Link { .. }) => return true,
            (S3, S3) | (Object { .. }, Object { .. }) | (Reference { .. }, Reference { .. }) => {
                true
            }
            (Link { .. }, Link { .. }) | (Error { .. }, Error { .. }) => self.kind == new.kind,
            _ => false,
        };
        same && self.content_type == new.content_type && new.expires >= self.expires
    }
}
