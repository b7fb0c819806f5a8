//! What a fetch needs besides the reference.

use std::fmt;
use std::sync::Arc;

use runtime_core::{ScopeSet, Services, TaskContext};

use crate::{FetchConfig, FetchProgress, HttpClient, ProgressListener, TaskLogProgress};

/// What a fetch needs besides the reference: the connections of the worker, the services with the
/// credentials of the task, and somebody to tell how it goes. A clone is cheap.
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
    listener: Arc<dyn ProgressListener>,
}

impl FetchContext {
    /// Makes the context of a task: with its credentials and scopes, and [its log](TaskLogProgress) to tell how it goes.
    #[must_use]
    pub fn for_task(http: HttpClient, task: &TaskContext) -> Self {
        Self::new(http, task.services())
            .with_scopes(task.info().scopes().clone())
            .with_listener(TaskLogProgress::new(task))
    }

    /// Makes a context whose progress nobody hears.
    #[must_use]
    pub fn new(http: HttpClient, services: Services) -> Self {
        Self {
            http,
            services,
            scopes: ScopeSet::default(),
            listener: Arc::new(|_: &FetchProgress| {}),
        }
    }

    /// Says who hears of progress and retries.
    #[must_use]
    pub fn with_listener(mut self, listener: impl ProgressListener + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Says which scopes the task has, to use copies that somebody else fetched. Without, it has none.
    #[must_use]
    pub fn with_scopes(mut self, scopes: ScopeSet) -> Self {
        self.scopes = scopes;
        self
    }

    /// The scopes of the task.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
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
