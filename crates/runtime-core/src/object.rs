//! The port to the object service, which stores artifacts of type `object`.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::api_error::ApiError;
use crate::clock::deserialize_timestamp;
use crate::credentials::Credentials;

/// A temporary download URL of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDownload {
    /// The signed URL: a secret until it expires.
    pub url: SecretString,
    /// The expiry of the URL.
    #[serde(deserialize_with = "deserialize_timestamp")]
    pub expires: Timestamp,
    /// Hashes by algorithm, in lower-case hexadecimal. A reader must verify all algorithms that it knows.
    #[serde(default)]
    pub hashes: BTreeMap<String, String>,
}

/// The part of the object service that a fetcher uses.
#[async_trait]
pub trait Objects: Send + Sync + fmt::Debug {
    /// Requests a download URL with `credentials`, which the queue returned with the artifact; `None` stands
    /// for the credentials of the caller.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if the object does not exist.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only reads.
    async fn start_download(
        &self,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Result<ObjectDownload, ApiError>;
}
