//! The way to a deployment and back, the same for every call.

mod call;
mod failure;
mod http_client;
mod pipeline;
mod refusal;
mod retries;

pub(crate) use call::{Call, Delivery, path};
pub(crate) use http_client::http_client;
pub(crate) use retries::Retries;

use std::fmt;

use runtime_http::reqwest;
use tokio::sync::Semaphore;
use url::Url;

use crate::client_error::ClientError;
use crate::settings::ClientSettings;

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
        let http = http_client(&settings, root.scheme() == "https")?;
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
