//! What engine and plugins see of a running task.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use runtime_ioext::log::{
    CreateLogError, ExtractLogError, FollowedLog, LogReader, LogWriter, Redactor,
};

use super::controller::TaskContextController;
use super::log::{self, LogDrain, LogOptions};
use super::stop::StopSignal;
use super::{StopReason, TaskInfo};
use crate::artifact::{Artifact, UploadError, Uploaded};
use crate::queue::Queue;
use crate::{CredentialsCell, Run, Services, Timestamp};

/// A task that runs: its facts, its log, its services and its stop signal. A clone is cheap.
///
/// ```
/// # use runtime_core::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let definition = serde_json::from_value(serde_json::json!({
/// #     "taskQueueId": "demo/linux", "created": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z",
/// #     "payload": {}, "scopes": ["secrets:get:a"],
/// #     "metadata": {"name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com"},
/// # }))?;
/// let info = TaskInfo::new(Run { task_id: TaskId::random(), run_id: 0 }, definition);
/// let (context, controller) = TaskContext::create(&folder.path().join("task.log"), info)?;
/// context.log("hello");
/// assert!(context.has_scopes(["secrets:get:a"]));
///
/// controller.stop(StopReason::Cancelled);
/// assert_eq!(context.stopped().await, StopReason::Cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TaskContext {
    shared: Arc<Shared>,
}

/// What the context and its controller share.
pub(super) struct Shared {
    pub(super) info: TaskInfo,
    pub(super) log: FollowedLog,
    pub(super) own_lines: LogWriter,
    pub(super) log_options: LogOptions,
    pub(super) stop: StopSignal,
    pub(super) credentials: CredentialsCell,
    pub(super) services: RwLock<Services>,
}

impl TaskContext {
    /// Makes the context of a task, with an empty log at `log_path`, and the controller of it.
    ///
    /// # Errors
    ///
    /// A [`CreateLogError`] if there can be no log at `log_path`.
    pub fn create(
        log_path: &Path,
        info: TaskInfo,
    ) -> Result<(Self, TaskContextController), CreateLogError> {
        Self::create_with(log_path, info, LogOptions::default())
    }

    /// The same with a say in what is kept out of the log.
    ///
    /// # Errors
    ///
    /// A [`CreateLogError`] if there can be no log at `log_path`.
    pub fn create_with(
        log_path: &Path,
        info: TaskInfo,
        log_options: LogOptions,
    ) -> Result<(Self, TaskContextController), CreateLogError> {
        let log = FollowedLog::create(log_path)?;
        let shared = Arc::new(Shared {
            info,
            own_lines: log.writer(),
            log_options,
            log,
            stop: StopSignal::new(),
            credentials: CredentialsCell::new(None),
            services: RwLock::new(Services::disconnected()),
        });
        Ok((
            Self {
                shared: Arc::clone(&shared),
            },
            TaskContextController::new(shared),
        ))
    }

    /// What the task is.
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.shared.info
    }

    /// Which run of the task this is.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.shared.info.run
    }

    /// Reports whether the task has every one of `scopes`.
    pub fn has_scopes<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> bool {
        self.info().scopes().satisfies_all(scopes)
    }

    /// The services of the deployment, with the credentials of this run.
    #[must_use]
    pub fn services(&self) -> Services {
        self.shared.services.read().clone()
    }

    /// The queue, with the credentials of this run.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.shared.services.read().queue)
    }

    /// Uploads an artifact of this run.
    ///
    /// # Errors
    ///
    /// An [`UploadError`] once retries are exhausted or make no sense.
    ///
    /// # Cancel safety
    ///
    /// The artifact may be declared without bytes. The same upload can be started again.
    pub async fn upload(&self, artifact: &Artifact) -> Result<Uploaded, UploadError> {
        let uploader = self.services().uploader;
        uploader
            .upload(self.run(), self.info().expires, artifact)
            .await
    }

    /// Reports whether the task must stop because the worker does, so that the worker resolves it.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.stop_reason()
            .is_some_and(|reason| reason.to_report().is_some())
    }

    /// Reports whether the task must stop because the run is no longer this worker's to resolve.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop_reason()
            .is_some_and(|reason| reason.to_report().is_none())
    }

    /// Why the task must stop, if it must.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.shared.stop.reason()
    }

    /// Waits until the task must stop.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn stopped(&self) -> StopReason {
        self.shared.stop.wait().await
    }
}

/// The log.
impl TaskContext {
    /// Writes a line of the worker's own, `[taskcluster <time>] message`, without secrets.
    ///
    /// It starts a line, whatever the task left unfinished. That the log is broken is told when it is closed, and by every reader.
    pub fn log(&self, message: impl fmt::Display) {
        self.write_own(&log::info_lines(Timestamp::now(), message));
    }

    /// Writes `[taskcluster:error] message`.
    ///
    /// Only for what decides the result: those who read logs by program show this line as the failure.
    pub fn log_error(&self, message: impl fmt::Display) {
        self.write_own(&log::error_lines(message));
    }

    fn write_own(&self, lines: &str) {
        let lines = self.redactor().redact(lines.as_bytes());
        // The log keeps its first error and gives it to whoever closes or reads it.
        let _ = self.shared.own_lines.write_on_new_line(&lines);
    }

    /// Where the task's own output goes, without secrets and within the limit.
    ///
    /// Drop all drains before the log is closed: they hold back what may become a secret, and the tail of
    /// too much output.
    #[must_use]
    pub fn log_drain(&self) -> LogDrain {
        let LogOptions {
            redactor,
            output_limit,
        } = &self.shared.log_options;
        redactor.writer(output_limit.writer(self.shared.log.writer()))
    }

    /// The secrets that are kept out of the log. Add what the task gets to know.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.shared.log_options.redactor
    }

    /// A reader that starts at the first byte and follows until the log is closed.
    #[must_use]
    pub fn new_log_reader(&self) -> LogReader {
        self.shared.log.reader()
    }

    /// The log itself, to follow it from an offset.
    #[must_use]
    pub fn followed_log(&self) -> &FollowedLog {
        &self.shared.log
    }

    /// The log as a file, once it is closed.
    ///
    /// # Errors
    ///
    /// [`ExtractLogError::NotClosed`] before, or what the operating system says.
    pub fn extract_log(&self) -> Result<File, ExtractLogError> {
        self.shared.log.extract()
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("run", self.run())
            .finish_non_exhaustive()
    }
}
