//! Where Sentry is, and who may report there.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use runtime_core::{BoxError, Secret};

use crate::push::PushError;

/// A DSN, and how long it works.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// The DSN.
    pub dsn: Secret,
    /// When it may stop to work; `None` if it does not.
    pub expires: Option<Timestamp>,
}

/// Gives DSNs, such as Taskcluster's auth service does.
#[async_trait]
pub trait DsnSource: Send + Sync {
    /// Gets a DSN for a project.
    ///
    /// # Errors
    ///
    /// Any: it is written to the log and the call is tried again later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the time to stop has run out.
    async fn dsn(&self, project: Option<&str>) -> Result<Dsn, BoxError>;
}

/// The DSN of a configuration.
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

/// A DSN that was understood.
pub(super) struct Target {
    pub(super) dsn: sentry_core::types::Dsn,
    pub(super) expires: Option<Timestamp>,
}

impl Target {
    pub(super) fn parse(dsn: &str, expires: Option<Timestamp>) -> Result<Self, PushError> {
        let dsn = dsn.parse();
        let dsn = dsn.map_err(|_| PushError::Address { what: "DSN" })?;
        Ok(Self { dsn, expires })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.dsn.host())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
