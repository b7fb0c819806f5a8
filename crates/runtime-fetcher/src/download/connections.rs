//! The open connections of a body.

use bytes::Bytes;

use super::parallel_ranges::ParallelRanges;
use crate::attempt_error::{AttemptError, ErrorClass};
use crate::config::FetchConfig;
use crate::http::BodyResponse;

/// The open connections of a body.
pub(super) enum OpenConnections {
    None,
    /// One response to the end of the body.
    Single(BodyResponse),
    Parallel(ParallelRanges),
}

impl OpenConnections {
    /// Returns the next bytes after the first `received`, or `None` when all requested bytes were received.
    pub(super) async fn receive(
        &mut self,
        received: u64,
        total: Option<u64>,
        config: &FetchConfig,
    ) -> Result<Option<Bytes>, AttemptError> {
        match self {
            Self::None => Ok(None),
            Self::Single(response) => match (response.chunk(received, config).await?, total) {
                // hyper compares a response with its own `Content-Length`. A range response may still be shorter than
                // the rest of the body.
                (None, Some(promised)) if received != promised => {
                    Err(AttemptError::Truncated { received, promised })
                }
                (chunk, _) => Ok(chunk),
            },
            Self::Parallel(ranges) => {
                let chunk = ranges.next_chunk().await;
                chunk.map_err(|cause| as_interruption(received, cause))
            }
        }
    }
}

/// Turns any error of a range into a transient one: a single connection may still deliver the rest, and if not,
/// its error is more precise.
fn as_interruption(received: u64, cause: AttemptError) -> AttemptError {
    match cause.class() {
        ErrorClass::Transient => cause,
        _ => AttemptError::Interrupted {
            received,
            source: cause.into(),
        },
    }
}
