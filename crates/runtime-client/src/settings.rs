//! Settings of the client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::{Clock, SystemClock};

/// Settings of the client of a deployment. The defaults suit a worker in a data center.
///
/// ```
/// use std::time::Duration;
///
/// let mut settings = runtime_client::ClientSettings::default();
/// settings.stall_timeout = Duration::from_secs(30);
/// settings.retry.budget = Duration::from_secs(600);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    /// Delays and time budget of retries.
    pub retry: RetrySettings,
    /// The time limit for one attempt of an API call, including the response. Must exceed the 20 seconds for which the
    /// queue holds a `claimWork` request. Default: 60 s.
    pub request_timeout: Duration,
    /// The time limit for opening a connection. Default: 15 s.
    pub connect_timeout: Duration,
    /// The time for which a call waits for new credentials after its own were refused or have expired. Default: 20 s.
    pub credentials_wait: Duration,
    /// The maximum number of concurrent uploads, over all clients of the deployment value. Default: 10.
    pub concurrent_uploads: usize,
    /// The maximum number of attempts to send the bytes of one artifact. Delays between attempts count against the
    /// budget of [`retry`](Self::retry); the time spent sending does not. Default: 20, whose delays exceed the
    /// budget, so that the budget decides during a store outage.
    pub upload_attempts: u32,
    /// The time without progress after which an upload attempt fails, however long the whole upload takes.
    /// Default: 60 s.
    pub stall_timeout: Duration,
    /// The folder for compressed copies of artifacts; `None` for the system's temporary folder.
    pub spool_folder: Option<PathBuf>,
    /// A proxy for all requests, such as `http://proxy.example.com:3128`. The environment is not read.
    pub proxy: Option<String>,
    /// The `User-Agent` header. Default: name and version of this crate.
    pub user_agent: String,
    /// The clock that decides whether credentials and claims have expired.
    pub clock: Arc<dyn Clock>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            retry: RetrySettings::default(),
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(15),
            credentials_wait: Duration::from_secs(20),
            concurrent_uploads: 10,
            upload_attempts: 20,
            stall_timeout: Duration::from_secs(60),
            spool_folder: None,
            proxy: None,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// Retries: exponential backoff with full jitter, within a time budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// The upper bound of the delay after the first failure. Doubles with every failure. Default: 250 ms.
    pub first_delay: Duration,
    /// The maximum upper bound of a delay. Default: 30 s.
    pub max_delay: Duration,
    /// The time since the first attempt after which no attempt starts. Zero for a single attempt. Default: 3 minutes.
    pub budget: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(30),
            budget: Duration::from_secs(180),
        }
    }
}
