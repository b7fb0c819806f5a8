//! Sentry DSNs: the address of a project together with the key to report to it.

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::{BoxError, Secret};

/// A DSN and its expiry.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// The DSN.
    pub dsn: Secret,
    /// The time at which the DSN expires; `None` if it does not.
    pub expires: Option<Timestamp>,
}

/// Provides DSNs. Taskcluster's auth service is such a source.
#[async_trait]
pub trait DsnSource: Send + Sync {
    /// Fetches a DSN for a project.
    ///
    /// # Errors
    ///
    /// Any error is logged and the call is retried later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped if the time limit of [`IncidentQueue::stop`](crate::IncidentQueue::stop) expires.
    async fn dsn(&self, project: Option<&str>) -> Result<Dsn, BoxError>;
}
