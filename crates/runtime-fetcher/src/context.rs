//! What a fetch needs besides the reference.

use std::fmt;
use std::sync::Arc;

use runtime_core::Services;

use crate::{FetchConfig, HttpClient, Progress, ProgressListener};

/// What a fetch needs besides the reference: the connections of the worker, the services with the
/// credentials of the task, and somebody to tell how it goes. A clone is cheap.
///
/// ```
/// use runtime_core::Services;
/// use runtime_fetcher::{FetchConfig, FetchContext, HttpClient, Progress};
///
/// # fn main() -> Result<(), runtime_fetcher::HttpClientError> {
/// // One for the worker:
/// let http = HttpClient::new(FetchConfig::default())?;
/// // One for each task:
/// let context = FetchContext::new(http.clone(), Services::disconnected())
///     .with_listener(|progress: &Progress| eprintln!("{progress}"));
/// # drop(context);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FetchContext {
    http: HttpClient,
    services: Services,
    listener: Arc<dyn ProgressListener>,
}

impl FetchContext {
    /// Makes a context whose progress nobody hears.
    #[must_use]
    pub fn new(http: HttpClient, services: Services) -> Self {
        Self {
            http,
            services,
            listener: Arc::new(|_: &Progress| {}),
        }
    }

    /// Says who hears of progress and retries.
    #[must_use]
    pub fn with_listener(mut self, listener: impl ProgressListener + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// The services, with the credentials of the task.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The limits and policies of the worker.
    #[must_use]
    pub fn config(&self) -> &FetchConfig {
        self.http.config()
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    pub(crate) fn listener(&self) -> Arc<dyn ProgressListener> {
        Arc::clone(&self.listener)
    }
}

impl fmt::Debug for FetchContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchContext")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}
