//! Logs repeated failures of a service once.

use std::fmt;

use tracing::warn;

use crate::logging_monitor::TARGET;

/// Logs the first failure of a series. A line per attempt would fill the log for as long as a service is down.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    has_logged: bool,
}

impl FailureLog {
    /// Logs a warning unless the previous attempt failed as well.
    pub(crate) fn failure(&mut self, message: fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.has_logged, true) {
            warn!(target: TARGET, "{message}");
        }
    }

    /// Ends a series of failures.
    pub(crate) fn success(&mut self) {
        self.has_logged = false;
    }
}
