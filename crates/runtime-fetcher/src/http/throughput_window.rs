//! Detection of bodies that arrive too slowly.

use std::time::Duration;

use crate::attempt_error::AttemptError;
use crate::config::MinThroughput;

/// Counts the bytes of a body in consecutive windows.
///
/// A stall timeout alone does not end a body that arrives one byte at a time. A window consists of the time
/// spent waiting for the server only: a target that stores the bytes slowly is not the server's fault.
#[derive(Default)]
pub(super) struct ThroughputWindow {
    waited: Duration,
    bytes: u64,
}

impl ThroughputWindow {
    /// Counts received bytes. At the end of a window, fails if it contains too few of them.
    pub(super) fn count(
        &mut self,
        bytes: u64,
        waited: Duration,
        minimum: &MinThroughput,
    ) -> Result<(), AttemptError> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < minimum.window {
            return Ok(());
        }
        let window = std::mem::take(self);
        if window.bytes < minimum.min_bytes {
            return Err(AttemptError::TooSlow {
                bytes: window.bytes,
                window: window.waited,
            });
        }
        Ok(())
    }
}
