//! Where the bytes of a reference are, asked anew for every attempt.

use async_trait::async_trait;
use url::Url;

use crate::hash::Hashes;
use crate::{AttemptError, FetchContext, Reference};

/// A reference that knows where its bytes are. Signed URLs end, so every attempt asks again.
#[async_trait]
pub(crate) trait Source: Reference {
    /// Where the bytes are now.
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError>;
}

/// Where bytes are, and what they must be.
pub(crate) struct Location {
    pub(crate) url: Url,
    pub(crate) trust: Trust,
    pub(crate) hashes: Hashes,
    /// Whether the server may send the request elsewhere.
    pub(crate) redirects: bool,
}

/// Who named a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A task: the guard on addresses applies.
    Task,
    /// The deployment that the worker belongs to.
    Deployment,
}
