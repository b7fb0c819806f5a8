//! The context of a fetch: HTTP client, Taskcluster services, scopes and progress listener.

use std::fmt;
use std::sync::Arc;

use runtime_core::{ScopeSet, Services, TaskContext};

use crate::config::FetchConfig;
use crate::http::HttpClient;
use crate::progress::{FetchProgress, ProgressListener};

/// Everything a [`Reference`](crate::Reference) needs to fetch itself. Cheap to clone.
///
/// Holds the worker's HTTP client, the services authenticated as the task, the task's scopes, and a listener for
/// progress and retries.
///
/// ```
/// use runtime_core::Services;
/// use runtime_fetcher::{FetchConfig, FetchContext, HttpClient, FetchProgress};
///
/// # fn main() -> Result<(), runtime_fetcher::HttpClientError> {
/// // One for the worker:
/// let http = HttpClient::new(FetchConfig::default())?;
/// // One for each task:
/// let context = FetchContext::new(http.clone(), Services::disconnected())
///     .with_listener(|progress: &FetchProgress| eprintln!("{progress}"));
/// # drop(context);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FetchContext {
    http: HttpClient,
    services: Services,
    scopes: ScopeSet,
    listener: ProgressListener,
}

impl FetchContext {
    /// Creates the context of a task: its credentials, its scopes, and progress events in its log.
    #[must_use]
    pub fn for_task(http: HttpClient, task: &TaskContext) -> Self {
        let log = task.clone();
        Self::new(http, task.services())
            .with_scopes(task.info().scopes().clone())
            .with_listener(move |progress| log.log(progress))
    }

    /// Creates a context without scopes and without a progress listener.
    #[must_use]
    pub fn new(http: HttpClient, services: Services) -> Self {
        Self {
            http,
            services,
            scopes: ScopeSet::default(),
            listener: Arc::new(|_: &FetchProgress| {}),
        }
    }

    /// Sets the listener that receives progress and retry events.
    ///
    /// The fetch calls it inline, so calls must be short.
    #[must_use]
    pub fn with_listener(
        mut self,
        listener: impl Fn(&FetchProgress) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Sets the scopes of the task, which decide on the use of cached copies.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// Returns the scopes of the task.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// Returns the services, authenticated as the task.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Returns the limits and policies of the worker.
    #[must_use]
    pub fn config(&self) -> &FetchConfig {
        self.http.config()
    }

    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    pub(crate) fn listener(&self) -> ProgressListener {
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
