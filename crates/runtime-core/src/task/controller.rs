//! The worker's control over a running task.

use std::fmt;
use std::io;
use std::sync::Arc;

use runtime_ioext::log::CloseLogError;
use runtime_ioext::remove_tree;

use super::StopReason;
use super::shared::Shared;
use crate::credentials::{Credentials, CredentialsWatch};
use crate::deployment::Services;

/// Stops a task, replaces its credentials, and closes its log.
///
/// Each task has one controller, owned by the worker that claimed it.
pub struct TaskContextController {
    shared: Arc<Shared>,
}

impl TaskContextController {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Stops the task unless it is stopped already; returns whether this call stopped it.
    pub fn stop(&self, reason: StopReason) -> bool {
        self.shared.stop.stop(reason)
    }

    /// Stops the task because the worker shuts down; returns whether this call stopped it.
    pub fn abort(&self) -> bool {
        self.stop(StopReason::WorkerShutdown)
    }

    /// Stops the task because it was cancelled; returns whether this call stopped it.
    pub fn cancel(&self) -> bool {
        self.stop(StopReason::Cancelled)
    }

    /// Replaces the credentials. Requests signed afterwards use the new ones. Their secrets are added to the
    /// redactor first, so that no output can contain them unredacted.
    pub fn set_credentials(&self, credentials: Credentials) {
        // The redactor refuses very short secrets, which would match everywhere; Taskcluster's are long enough.
        let _ = (self.shared.log_options.redactor).add_all(credentials.secrets());
        self.shared.credentials.set(credentials);
    }

    /// Returns the current and all future credentials of the run.
    #[must_use]
    pub fn credentials(&self) -> CredentialsWatch {
        self.shared.credentials.watch()
    }

    /// Waits until a service refuses the credentials, so that they can be renewed by a reclaim.
    ///
    /// # Cancel safety
    ///
    /// Safe: a report not returned by a dropped future is returned by the next call.
    pub async fn credentials_refused(&self) {
        self.shared.credentials.refused().await;
    }

    /// Sets the services, which must sign requests with [`credentials`](Self::credentials).
    pub fn set_services(&self, services: Services) {
        *self.shared.services.write() = services;
    }

    /// Closes the log. Readers reach its end, and its file can be extracted.
    ///
    /// # Errors
    ///
    /// A [`CloseLogError`] if this or any earlier write failed.
    pub fn close_log(&self) -> Result<(), CloseLogError> {
        self.shared.log.close()
    }

    /// Appends error lines to a log that failed, or overwrites its last lines if its disk is full.
    ///
    /// The log stays failed, but the author of the task can read why it is incomplete.
    ///
    /// # Errors
    ///
    /// The error of [`FollowedLog::replace_failed_end`](runtime_ioext::FollowedLog::replace_failed_end).
    ///
    /// # Cancel safety
    ///
    /// Safe: the lines are written even if the future is dropped.
    pub async fn end_failed_log(&self, message: impl fmt::Display) -> io::Result<()> {
        let lines = super::log::error_lines(message);
        let lines = (self.shared.log_options.redactor).redact(lines.as_bytes());
        let log = self.shared.log.clone();
        let writing = tokio::task::spawn_blocking(move || log.replace_failed_end(&lines));
        writing.await.map_err(io::Error::other)?
    }

    /// Removes the credentials, the services and the file of the log. On Unix, open readers can still read it.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn dispose(self) -> io::Result<()> {
        // An authorizer may outlive the task, for example in a proxy. It must not sign for a run that has ended.
        self.shared.credentials.clear();
        self.set_services(Services::disconnected());
        let log = &self.shared.log;
        if log.has_file() {
            remove_tree(log.path())?;
        }
        Ok(())
    }
}

impl fmt::Debug for TaskContextController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContextController")
            .field("run", &self.shared.info.run)
            .finish_non_exhaustive()
    }
}
