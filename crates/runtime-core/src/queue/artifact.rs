//! Artifacts on the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use crate::Credentials;

open_enum! {
    /// Why an artifact that was promised is not there.
    ArtifactErrorReason {
        /// The task did not make the file.
        FileMissing = "file-missing-on-worker",
        /// It is there and is not what it must be, such as a folder in the place of a file.
        InvalidResource = "invalid-resource-on-worker",
        /// It is larger than the worker uploads.
        TooLarge = "too-large-file-on-worker",
        /// The worker may not read it.
        NotReadable = "file-not-readable-on-worker",
    }
}

/// What to declare: the body of `createArtifact`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactRequest {
    /// Bytes behind a signed URL.
    S3 {
        /// The MIME type, which the `PUT` must repeat.
        content_type: String,
        /// Length of the bytes before any encoding.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_length: Option<u64>,
        /// When it is forgotten, at the latest when the task is.
        expires: Timestamp,
    },
    /// Bytes in the object service.
    Object {
        /// The MIME type.
        content_type: String,
        /// Length of the bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_length: Option<u64>,
        /// When it is forgotten, at the latest when the task is.
        expires: Timestamp,
    },
    /// A redirect to another URL.
    Reference {
        /// The MIME type of what is there.
        content_type: String,
        /// Where it is.
        url: String,
        /// When it is forgotten, at the latest when the task is.
        expires: Timestamp,
    },
    /// Another name of an artifact of the same run.
    Link {
        /// The MIME type.
        content_type: String,
        /// The name of the other artifact.
        artifact: String,
        /// When it is forgotten, at the latest when the task is.
        expires: Timestamp,
    },
    /// A promise that could not be kept.
    Error {
        /// Why.
        reason: ArtifactErrorReason,
        /// For people; at most 4 096 characters.
        message: String,
        /// When it is forgotten, at the latest when the task is.
        expires: Timestamp,
    },
}

/// The queue's answer to a declaration.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactResponse {
    /// `PUT` the bytes there.
    S3 {
        /// A signed URL: a secret until it expires.
        put_url: secrecy::SecretString,
        /// The MIME type to send.
        content_type: String,
        /// When the URL ends.
        expires: Timestamp,
    },
    /// Create an upload in the object service.
    Object {
        /// The name of the object.
        name: String,
        /// The project to name to the object service.
        project_id: String,
        /// Names this upload to the object service and to `finishArtifact`.
        upload_id: String,
        /// What signs the calls to the object service.
        credentials: Credentials,
        /// When the offer ends.
        expires: Timestamp,
    },
    /// Nothing more to do.
    Reference {},
    /// Nothing more to do.
    Link {},
    /// Nothing more to do.
    Error {},
    /// A storage type that this version does not know.
    #[serde(other)]
    Other,
}

/// One line of a list of artifacts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactEntry {
    /// `s3`, `object`, `reference`, `link`, `error` or a text to come.
    pub storage_type: String,
    /// The name.
    pub name: String,
    /// The MIME type.
    #[serde(default)]
    pub content_type: String,
    /// When it is forgotten.
    pub expires: Timestamp,
}

/// Where the bytes of an artifact are. The queue follows links itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactContent {
    /// Behind a URL, which may be signed.
    S3 {
        /// A URL that may carry a signature: a secret.
        url: secrecy::SecretString,
    },
    /// Behind a URL of the task's choice.
    Reference {
        /// Where it is.
        url: secrecy::SecretString,
    },
    /// In the object service.
    Object {
        /// The name of the object.
        name: String,
        /// What signs the call to the object service.
        credentials: Credentials,
    },
    /// Nowhere: the task could not make it.
    Error {
        /// Why.
        reason: ArtifactErrorReason,
        /// For people.
        message: String,
    },
    /// In a way that this version does not know.
    #[serde(other)]
    Other,
}
