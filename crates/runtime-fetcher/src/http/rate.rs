//! Whether a body comes fast enough to be waited for.

use std::time::Duration;

use crate::{AttemptError, MinThroughput};

/// Counts what comes in each window of a body. Only the time in which the server was waited for makes up a
/// window: a target that is slow to take the bytes is not the server's fault.
#[derive(Default)]
pub(super) struct Rate {
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Counts `bytes` that were waited for, and judges the window when it is over.
    pub(super) fn count(
        &mut self,
        bytes: u64,
        waited: Duration,
        policy: &MinThroughput,
    ) -> Result<(), AttemptError> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < policy.window {
            return Ok(());
        }
        let window = std::mem::take(self);
        if window.bytes < policy.min_bytes {
            return Err(AttemptError::TooSlow {
                bytes: window.bytes,
                window: window.waited,
            });
        }
        Ok(())
    }
}
