//! The way to a deployment and back, the same for every call.

mod backoff;
mod call;
mod failure;
mod pipeline;
mod refusal;

pub(crate) use backoff::Backoff;
pub(crate) use call::{Call, Delivery, path};
pub(crate) use refusal::{excerpt, retry_after};

use std::fmt;

use bytes::{Bytes, BytesMut};
use runtime_core::BoxError;
use tokio::sync::Semaphore;
use url::Url;

use crate::ClientSettings;
use crate::deployment::ClientError;

/// What all clients of a deployment share.
pub(crate) struct Transport {
    root: String,
    pub(crate) http: reqwest::Client,
    pub(crate) settings: ClientSettings,
    /// One permit for each upload that may run.
    pub(crate) uploads: Semaphore,
}

impl Transport {
    pub(crate) fn new(root: Url, settings: ClientSettings) -> Result<Self, ClientError> {
        let http = crate::tls::http_client(&settings, root.scheme() == "https")?;
        let root = String::from(root).trim_end_matches('/').to_owned();
        let uploads = Semaphore::new(settings.concurrent_uploads.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self {
            root,
            http,
            settings,
            uploads,
        })
    }

    /// The root URL without a slash at the end.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Bytes, BoxError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        if body.len() + chunk.len() > limit {
            return Err(format!("the answer is longer than {limit} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
