//! The engine's and plugins' view of a running task.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;
use runtime_ioext::log::{CreateLogError, ExtractLogError, FollowedLog, LogReader, Redactor};

use super::controller::TaskContextController;
use super::log::{self, LogDrain, LogOptions};
use super::shared::Shared;
use super::stop::StopFlag;
use super::{StopReason, TaskInfo};
use crate::artifact::{Artifact, UploadError, Uploaded};
use crate::authorizer::RequestAuthorizer;
use crate::credentials::CredentialsCell;
use crate::deployment::Services;
use crate::id::Run;
use crate::monitor::traced;
use crate::queue::Queue;

/// A running task: its definition, log, services and stop signal. Cheap to clone.
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
/// assert!(context.has_scopes([["secrets:get:a"], ["secrets:get:b"]]));
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

impl TaskContext {
    /// Creates the context of a task and its controller, with an empty log at `log_path`. An existing file is
    /// emptied.
    ///
    /// # Errors
    ///
    /// A [`CreateLogError`] if the log cannot be created at `log_path`.
    pub fn create(
        log_path: &Path,
        info: TaskInfo,
    ) -> Result<(Self, TaskContextController), CreateLogError> {
        Self::create_with(log_path, info, LogOptions::default())
    }

    /// Like [`create`](Self::create), with log options.
    ///
    /// # Errors
    ///
    /// A [`CreateLogError`] if the log cannot be created at `log_path`.
    pub fn create_with(
        log_path: &Path,
        info: TaskInfo,
        log_options: LogOptions,
    ) -> Result<(Self, TaskContextController), CreateLogError> {
        let log = FollowedLog::create(log_path)?;
        Ok(Self::with_log(log, info, log_options))
    }

    /// Like [`create_with`](Self::create_with), with a [spooled](FollowedLog::spooled) log: it gets its file at
    /// `log_path` when it reaches 64 KiB, and no file if it stays shorter.
    ///
    /// If the file cannot be created then, the log fails.
    #[must_use]
    pub fn spooled(
        log_path: impl Into<PathBuf>,
        info: TaskInfo,
        log_options: LogOptions,
    ) -> (Self, TaskContextController) {
        Self::with_log(FollowedLog::spooled(log_path), info, log_options)
    }

    fn with_log(
        log: FollowedLog,
        info: TaskInfo,
        log_options: LogOptions,
    ) -> (Self, TaskContextController) {
        let shared = Arc::new(Shared {
            info,
            worker_lines: log.writer(),
            log_options,
            log,
            stop: StopFlag::new(),
            credentials: CredentialsCell::new(None),
            // Replaced by the worker once it has clients with the credentials of the run.
            services: RwLock::new(Services::disconnected()),
        });
        let context = Self {
            shared: Arc::clone(&shared),
        };
        (context, TaskContextController::new(shared))
    }

    /// Returns the run and the definition of the task.
    #[must_use]
    pub fn info(&self) -> &TaskInfo {
        &self.shared.info
    }

    /// Returns the run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.shared.info.run
    }

    /// Returns whether the task has all scopes of at least one of `scope_sets`; `false` if there are no sets.
    ///
    /// Sets of different lengths are slices: `[&["a", "b"][..], &["c"]]`. For the scopes of an input, pass
    /// `reference.scopes().alternatives()`.
    pub fn has_scopes<S: AsRef<str>, A: IntoIterator<Item = S>>(
        &self,
        scope_sets: impl IntoIterator<Item = A>,
    ) -> bool {
        self.info().scopes().satisfies_any(scope_sets)
    }

    /// Returns the services of the deployment, with the credentials of this run.
    #[must_use]
    pub fn services(&self) -> Services {
        self.shared.services.read().clone()
    }

    /// Returns the queue, with the credentials of this run.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.shared.services.read().queue)
    }

    /// Returns an authorizer that signs requests of other HTTP clients with the current credentials of this run.
    ///
    /// These credentials permit more than `task.scopes`, such as to resolve the run. Code that forwards requests of the
    /// task without checking each must limit them:
    ///
    /// ```
    /// use runtime_core::{SignError, TaskContext};
    ///
    /// fn authorization(task: &TaskContext, url: &str) -> Result<http::HeaderValue, SignError> {
    ///     let authorizer = task.authorizer().with_authorized_scopes(task.info().scopes());
    ///     authorizer.sign_header(&http::Method::GET, url, None)
    /// }
    /// ```
    ///
    /// Without [services](TaskContextController::set_services) and after the task was
    /// [disposed of](TaskContextController::dispose), signing is an error.
    #[must_use]
    pub fn authorizer(&self) -> Arc<dyn RequestAuthorizer> {
        Arc::clone(&self.shared.services.read().authorizer)
    }

    /// Uploads an artifact of this run.
    ///
    /// # Errors
    ///
    /// An [`UploadError`] if the upload failed permanently or its retries are exhausted.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the artifact may be declared without bytes. The same upload can be repeated.
    pub async fn upload(&self, artifact: &Artifact) -> Result<Uploaded, UploadError> {
        let uploader = self.services().uploader;
        let attributes = || vec![("artifact", artifact.name.clone())];
        let upload = uploader.upload(self.run(), self.info().expires, artifact);
        traced("upload", attributes, upload).await
    }

    /// Returns whether the worker stopped the task and resolves its run, because the worker shuts down.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.stop_reason() == Some(StopReason::WorkerShutdown)
    }

    /// Returns whether the task was cancelled in the queue.
    ///
    /// `false` after a lost claim or a passed deadline, see [`StopReason`]. To learn whether the task must stop at all,
    /// use [`stop_reason`](Self::stop_reason) or [`stopped`](Self::stopped).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop_reason() == Some(StopReason::Cancelled)
    }

    /// Returns the reason of the stop, if the task was stopped.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.shared.stop.reason()
    }

    /// Waits until the task is stopped.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn stopped(&self) -> StopReason {
        self.shared.stop.wait().await
    }
}

/// # Log
impl TaskContext {
    /// Writes a worker line, `[taskcluster <time>] message`, with secrets redacted.
    ///
    /// Each line of the message has the prefix; an empty message writes the prefix alone. Trailing blanks are
    /// kept. The line starts on a new line even if the task's output ended without a line feed. A write error is
    /// not lost: closing and reading the log return it.
    pub fn log(&self, message: impl fmt::Display) {
        self.write_worker_lines(&log::info_lines(Timestamp::now(), message));
    }

    /// Writes an error line, `[taskcluster:error] message`, with secrets redacted.
    ///
    /// Log parsers show this line as the cause of a failure, so write it only for errors that decide the
    /// resolution.
    pub fn log_error(&self, message: impl fmt::Display) {
        self.write_worker_lines(&log::error_lines(message));
    }

    fn write_worker_lines(&self, lines: &str) {
        let lines = self.redactor().redact(lines.as_bytes());
        // The log keeps its first error and returns it on close and to every reader. Without waiting for the disk:
        // the callers are async, and one that hangs would block the reclaims on the same thread.
        let _ = self.shared.worker_lines.push_on_new_line(&lines);
    }

    /// Returns a writer for the task's output, with redaction and output limit.
    ///
    /// Drop all drains before the log is closed: they buffer bytes that may be the start of a secret, and
    /// the tail of output beyond the limit.
    #[must_use]
    pub fn log_drain(&self) -> LogDrain {
        let LogOptions {
            redactor,
            output_limit,
        } = &self.shared.log_options;
        redactor.writer(output_limit.writer(self.shared.log.writer()))
    }

    /// Returns the redactor of the log. Add each secret that the task receives, before the task uses it.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.shared.log_options.redactor
    }

    /// Returns a reader that starts at the first byte and follows until the log is closed.
    #[must_use]
    pub fn new_log_reader(&self) -> LogReader {
        self.shared.log.reader()
    }

    /// Returns the log, for readers that start at an offset.
    #[must_use]
    pub fn followed_log(&self) -> &FollowedLog {
        &self.shared.log
    }

    /// Returns the file of a closed log. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`ExtractLogError::NotClosed`] if the log is open; other variants if the log is incomplete or its file
    /// cannot be opened.
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
