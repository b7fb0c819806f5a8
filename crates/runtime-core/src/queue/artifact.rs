//! Request and response bodies of the artifact methods.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use crate::clock::deserialize_timestamp;
use crate::credentials::Credentials;

open_enum! {
    /// The reason why an artifact could not be created.
    ArtifactErrorReason {
        /// The file does not exist.
        FileMissing = "file-missing-on-worker",
        /// The path is not of the expected type, such as a folder instead of a file.
        InvalidResource = "invalid-resource-on-worker",
        /// The file exceeds the worker's limit.
        TooLarge = "too-large-file-on-worker",
        /// The worker has no permission to read the file.
        NotReadable = "file-not-readable-on-worker",
    }
}

/// The body of `createArtifact`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactRequest {
    /// Bytes, uploaded to a signed URL.
    S3 {
        /// The MIME type, which the `PUT` must repeat.
        content_type: String,
        /// Length in bytes before any encoding.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_length: Option<u64>,
        /// The expiry, at most that of the task.
        expires: Timestamp,
    },
    /// Bytes in the object service. The length is omitted: if it is present, a queue of version 106 responds to
    /// `finishArtifact` with status 500.
    Object {
        /// The MIME type.
        content_type: String,
        /// The expiry, at most that of the task.
        expires: Timestamp,
    },
    /// A redirect to another URL.
    Reference {
        /// The MIME type of the target.
        content_type: String,
        /// The target.
        url: String,
        /// The expiry, at most that of the task.
        expires: Timestamp,
    },
    /// Another name for an artifact of the same run.
    Link {
        /// The MIME type.
        content_type: String,
        /// The name of the target artifact.
        artifact: String,
        /// The expiry, at most that of the task.
        expires: Timestamp,
    },
    /// An artifact that could not be created.
    Error {
        /// The reason.
        reason: ArtifactErrorReason,
        /// A message for humans; at most 4 096 characters.
        message: String,
        /// The expiry, at most that of the task.
        expires: Timestamp,
    },
}

/// The response to `createArtifact`.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactResponse {
    /// The bytes must be sent to a signed URL with `PUT`.
    S3 {
        /// The signed URL: a secret until it expires.
        put_url: secrecy::SecretString,
        /// The MIME type to send.
        content_type: String,
        /// The expiry of the URL.
        #[serde(deserialize_with = "deserialize_timestamp")]
        expires: Timestamp,
    },
    /// The bytes must be uploaded to the object service.
    Object {
        /// The name of the object.
        name: String,
        /// The project, a parameter of the object service.
        project_id: String,
        /// The id of this upload, a parameter of the object service and of `finishArtifact`.
        upload_id: String,
        /// The credentials for the object service.
        credentials: Credentials,
        /// The expiry of the upload.
        #[serde(deserialize_with = "deserialize_timestamp")]
        expires: Timestamp,
    },
    /// The artifact is complete: references have no bytes.
    Reference {},
    /// The artifact is complete: links have no bytes.
    Link {},
    /// The artifact is complete: errors have no bytes.
    Error {},
    /// An unknown storage type.
    #[serde(other)]
    Other,
}

/// An entry of an artifact listing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactEntry {
    /// `s3`, `object`, `reference`, `link`, `error` or a future storage type.
    pub storage_type: String,
    /// The name.
    pub name: String,
    /// The MIME type.
    #[serde(default)]
    pub content_type: String,
    /// The expiry.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub expires: Timestamp,
}

/// The location of an artifact's bytes. Links are already resolved by the queue.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "storageType",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ArtifactContent {
    /// A URL of the queue's bucket, which may be signed.
    S3 {
        /// The URL, which may carry a signature: a secret.
        url: secrecy::SecretString,
    },
    /// A URL chosen by the task.
    Reference {
        /// The target.
        url: secrecy::SecretString,
    },
    /// An object of the object service.
    Object {
        /// The name of the object.
        name: String,
        /// The credentials for the object service.
        credentials: Credentials,
    },
    /// The task could not create the artifact, which has no bytes.
    Error {
        /// The reason.
        reason: ArtifactErrorReason,
        /// A message for humans.
        message: String,
    },
    /// An unknown storage type.
    #[serde(other)]
    Other,
}
