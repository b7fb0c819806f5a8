//! The trait of resources that the collector can dispose of.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

use async_trait::async_trait;

use crate::cost_class::CostClass;
use crate::footprint::Footprint;
use crate::resource::DisposableResource;

/// A resource that the collector may dispose of while it is idle.
///
/// # Contract
///
/// The collector calls [`dispose`](Self::dispose) only after it has claimed the resource, so that the
/// resource has no users and accepts none. A failed disposal is retried later: `dispose` must be able to
/// continue where it stopped, and must succeed if nothing remains to be freed. Calls never overlap, and
/// `dispose` is not called again after it has succeeded.
///
/// The other methods must return quickly and must not block. The collector holds no lock
/// during them, except for [`resource`](Self::resource).
#[async_trait]
pub trait Disposable: fmt::Debug + Send + Sync + 'static {
    /// Returns the use count that the resource embeds, always the same one.
    ///
    /// Must only return a field: the collector calls it under its lock.
    fn resource(&self) -> &DisposableResource;

    /// Returns the name for reports and plans. It must not contain secrets.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("unnamed")
    }

    /// Returns the space that disposing of the resource frees.
    ///
    /// Read at registration and on [`ResourceTracker::refresh`](crate::ResourceTracker::refresh).
    fn footprint(&self) -> Footprint;

    /// Returns the cost of recreating the resource. Read at registration.
    fn class(&self) -> CostClass {
        CostClass::default()
    }

    /// Frees the resource. The space must be free when the future completes.
    ///
    /// The future is dropped at [`GcConfig::dispose_timeout`](crate::GcConfig::dispose_timeout), so it must
    /// not block its thread.
    ///
    /// # Errors
    ///
    /// [`DisposeError::InUseElsewhere`] if the resource is in use outside this process; it then remains usable.
    /// [`DisposeError::Failed`] if the resource could not be freed; it then remains unusable, and the disposal
    /// is retried.
    ///
    /// # Cancel safety
    ///
    /// Must be safe to drop and to call again.
    async fn dispose(&self) -> Result<(), DisposeError>;
}

/// The reason a resource was not disposed of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisposeError {
    /// A user outside this process, which the use count does not cover. The resource is unchanged.
    #[error("in use outside of this process")]
    InUseElsewhere,
    /// The resource could not be freed. The collector retries later.
    #[error("disposal failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl DisposeError {
    /// Creates a [`Failed`](Self::Failed) error from its cause.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

impl From<io::Error> for DisposeError {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}
