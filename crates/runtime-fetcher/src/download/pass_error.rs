//! The reasons a pass over a body ends without a result.

use crate::attempt_error::AttemptError;
use crate::target::TargetError;

/// The reason a pass ended without a result.
#[derive(Debug)]
pub(super) enum PassError {
    /// The body cannot be resumed: another pass starts from the first byte.
    Restart,
    /// The fetch failed.
    Failed(AttemptError),
    /// The target failed.
    Target(TargetError),
}

impl From<TargetError> for PassError {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}
