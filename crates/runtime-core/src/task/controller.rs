//! What the worker alone may do to a running task.

use std::fmt;
use std::io;
use std::sync::Arc;

use runtime_ioext::log::CloseLogError;

use super::StopReason;
use super::context::Shared;
use crate::{Credentials, CredentialsWatch, Services, remove_tree};

/// Changes a task: stops it, gives it new credentials, ends its log.
///
/// There is one for each task, and it stays with whoever claimed it.
pub struct TaskContextController {
    shared: Arc<Shared>,
}

impl TaskContextController {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Stops the task, unless it was stopped before; reports whether this was the first time.
    pub fn stop(&self, reason: StopReason) -> bool {
        self.shared.stop.stop(reason)
    }

    /// Stops the task because the worker does.
    pub fn abort(&self) -> bool {
        self.stop(StopReason::WorkerShutdown)
    }

    /// Stops the task because somebody cancelled it.
    pub fn cancel(&self) -> bool {
        self.stop(StopReason::Cancelled)
    }

    /// Replaces the credentials; whoever signs a request from now on uses the new ones, and none of them
    /// shows in the log.
    pub fn set_credentials(&self, credentials: Credentials) {
        // Taskcluster's are long enough. What is refused would be found in everything.
        let _ = (self.shared.log_options.redactor).add_all(credentials.secrets());
        self.shared.credentials.set(credentials);
    }

    /// The credentials, as they change.
    #[must_use]
    pub fn credentials(&self) -> CredentialsWatch {
        self.shared.credentials.watch()
    }

    /// Waits until a request finds that the credentials are refused; a reclaim gets others.
    ///
    /// # Cancel safety
    ///
    /// Safe: a complaint that nobody waited for is heard by the next call.
    pub async fn credentials_refused(&self) {
        self.shared.credentials.refused().await;
    }

    /// Connects the task to services, which should sign with [`credentials`](Self::credentials).
    pub fn set_services(&self, services: Services) {
        *self.shared.services.write() = services;
    }

    /// Ends the log: readers come to its end, and it can be extracted.
    ///
    /// # Errors
    ///
    /// A [`CloseLogError`] if any write failed, now or before.
    pub fn close_log(&self) -> Result<(), CloseLogError> {
        self.shared.log.close()
    }

    /// Removes the log's file. Readers that are open keep what they have.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn dispose(self) -> io::Result<()> {
        remove_tree(self.shared.log.path())
    }
}

impl fmt::Debug for TaskContextController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContextController")
            .field("run", &self.shared.info.run)
            .finish_non_exhaustive()
    }
}
