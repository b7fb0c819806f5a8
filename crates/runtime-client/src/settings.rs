//! What a connection to a deployment can be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::{Clock, SystemClock};

/// Settings of a connection; the defaults suit a worker in a data centre.
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
    /// When and how long a failed call is tried again.
    pub retry: RetrySettings,
    /// How long one attempt of an API call may take, answer included; must exceed the 20 seconds for
    /// which the queue holds a `claimWork`. Default: 60 s.
    pub request_timeout: Duration,
    /// How long a connection may take to be made. Default: 15 s.
    pub connect_timeout: Duration,
    /// How long a call waits for other credentials when the ones it has are refused or expired.
    /// Default: 20 s.
    pub credentials_wait: Duration,
    /// How many artifacts are uploaded at a time, over all tasks of the deployment value. Default: 10.
    pub concurrent_uploads: usize,
    /// How often the bytes of one artifact are sent before the upload fails. The waits between the attempts count
    /// against the budget of [`retry`](Self::retry), and the time in which bytes are sent does not. Default: 20,
    /// for which the waits outlast the budget, so that a store may be away for minutes.
    pub upload_attempts: u32,
    /// For how long an upload may stand still, whatever time it takes in all. Default: 60 s.
    pub stall_timeout: Duration,
    /// The folder for compressed copies of artifacts; `None` for the system's temporary folder.
    pub spool_folder: Option<PathBuf>,
    /// A proxy for all requests, such as `http://proxy.example.com:3128`. The environment is not read.
    pub proxy: Option<String>,
    /// What the server sees as `User-Agent`. Default: the name and version of this crate.
    pub user_agent: String,
    /// Tells when credentials and upload URLs expire.
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
            clock: Arc::new(SystemClock),
        }
    }
}

/// Retries: exponential delays with full jitter, until a budget of time is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// The upper bound of the delay after the first failure; it doubles with every further one.
    /// Default: 250 ms.
    pub first_delay: Duration,
    /// What no bound of a delay exceeds. Default: 30 s.
    pub longest_delay: Duration,
    /// The time from the first attempt on after which no new attempt starts; zero for a single
    /// attempt. Default: 3 minutes.
    pub budget: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(30),
            budget: Duration::from_secs(180),
        }
    }
}
