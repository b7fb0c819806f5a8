//! What can be disposed of.

use std::borrow::Cow;
use std::fmt;
use std::io;

use async_trait::async_trait;

use crate::{DisposableResource, Footprint};

/// A resource that the collector may dispose of while nobody uses it.
///
/// # Contract
///
/// The collector calls [`dispose`](Self::dispose) only after it has claimed the resource: it has no
/// user and gets none. A disposal that failed is tried again later, so `dispose` must be able to go on
/// where it stopped, and must succeed if nothing is left. It is never called twice at a time, and not
/// again after it succeeded.
///
/// The other methods must be quick and must not block. No lock of the collector is held in any of them.
#[async_trait]
pub trait Disposable: fmt::Debug + Send + Sync + 'static {
    /// The count of users. Always the same one.
    fn resource(&self) -> &DisposableResource;

    /// What people call it, in reports and explanations. No secrets.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed("unnamed")
    }

    /// What disposing of it gives back. Read when it is registered and when its owner says that it
    /// changed, see [`ResourceTracker::refresh`](crate::ResourceTracker::refresh).
    fn footprint(&self) -> Footprint;

    /// What it costs to get it again. Read when it is registered.
    fn class(&self) -> CostClass {
        CostClass::default()
    }

    /// Frees it. Done means that the space is free, not that it will be.
    ///
    /// The future is dropped when it takes longer than the configured timeout, so it must not block.
    ///
    /// # Errors
    ///
    /// [`DisposeError::InUse`] if something outside of this process uses it: it stays as it was.
    /// [`DisposeError::Failed`] if it could not be freed: nobody gets it any more, and this is called again later.
    ///
    /// # Cancel safety
    ///
    /// Must be safe to drop and to call again.
    async fn dispose(&self) -> Result<(), DisposeError>;
}

/// What it costs to get a resource again. The cheap go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum CostClass {
    /// Can be fetched again, such as a download.
    Cheap,
    /// Takes some work to make again, such as an unpacked image.
    #[default]
    Moderate,
    /// Takes long to make again, such as the folder that a build keeps between tasks.
    Expensive,
}

impl CostClass {
    /// All classes in the order in which they are disposed of.
    pub const ALL: [Self; 3] = [Self::Cheap, Self::Moderate, Self::Expensive];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for CostClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cheap => "cheap",
            Self::Moderate => "moderate",
            Self::Expensive => "expensive",
        })
    }
}

/// A resource was not disposed of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisposeError {
    /// Something that the count of users does not know uses it. It is left as it was.
    #[error("in use outside of this process")]
    InUse,
    /// It could not be freed. It is tried again later.
    #[error("cannot be freed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DisposeError {
    /// Wraps the reason why it could not be freed.
    pub fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

impl From<io::Error> for DisposeError {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}
