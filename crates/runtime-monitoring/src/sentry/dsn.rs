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

/// A source that returns the DSN of the configuration.
pub(super) struct FixedDsn(pub(super) Secret);

#[async_trait]
impl DsnSource for FixedDsn {
    async fn dsn(&self, _: Option<&str>) -> Result<Dsn, BoxError> {
        Ok(Dsn {
            dsn: self.0.clone(),
            expires: None,
        })
    }
}
