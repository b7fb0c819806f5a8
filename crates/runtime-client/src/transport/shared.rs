//! The state that all clients of a deployment share.

use std::fmt;

use runtime_http::reqwest;
use tokio::sync::Semaphore;
use url::Url;

use super::http_client::http_client;
use crate::client_error::ClientError;
use crate::service_clock::ServiceClock;
use crate::settings::ClientSettings;

/// Connection pool, settings, clock and upload limit of a deployment.
pub(crate) struct Transport {
    root_url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) settings: ClientSettings,
    pub(crate) service_clock: ServiceClock,
    /// One permit for each concurrent upload.
    pub(crate) upload_permits: Semaphore,
}

impl Transport {
    pub(crate) fn new(root_url: Url, settings: ClientSettings) -> Result<Self, ClientError> {
        let http = http_client(&settings, root_url.scheme() == "https")?;
        let root_url = String::from(root_url).trim_end_matches('/').to_owned();
        let uploads = settings.concurrent_uploads.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            root_url,
            http,
            settings,
            service_clock: ServiceClock::default(),
            upload_permits: Semaphore::new(uploads),
        })
    }

    /// Returns the root URL without a trailing slash.
    pub(crate) fn root_url(&self) -> &str {
        &self.root_url
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("root_url", &self.root_url)
            .finish_non_exhaustive()
    }
}
