//! The port to the object service, where artifacts of type `object` are.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{ApiError, Credentials};

/// Where the bytes of an object are, for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDownload {
    /// A signed URL: a secret until it expires.
    pub url: SecretString,
    /// When the URL ends.
    pub expires: Timestamp,
    /// Hashes of the bytes by algorithm, in lower-case hexadecimal. All that are known must be checked.
    #[serde(default)]
    pub hashes: BTreeMap<String, String>,
}

/// The object service, as a fetcher sees it.
#[async_trait]
pub trait Objects: Send + Sync + fmt::Debug {
    /// Asks for a URL to get an object from, with the credentials that came with its artifact, or with
    /// those of the caller if there are none.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; [`is_not_found`](ApiError::is_not_found) if there is no such object.
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
