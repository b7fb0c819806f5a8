//! References whose bytes are behind a URL.

use async_trait::async_trait;

use crate::attempt_error::AttemptError;
use crate::context::FetchContext;
use crate::http::Location;
use crate::reference::Reference;

/// A reference whose bytes are behind a URL.
#[async_trait]
pub(crate) trait Source: Reference {
    /// Returns the current location of the bytes.
    ///
    /// Called for every attempt, because signed URLs expire.
    async fn locate(&self, context: &FetchContext) -> Result<Location, AttemptError>;
}
