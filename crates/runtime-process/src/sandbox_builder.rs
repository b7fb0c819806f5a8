//! The set-up of a task before it starts.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::util::is_disk_full;
use runtime_core::{Environment, MalformedPayloadError, TaskError};
use runtime_worker::{Sandbox, SandboxBuilder};

use crate::sandbox::ProcessSandbox;
use crate::task::PreparedTask;

/// Adds variables, folders and files to a task before it starts.
pub(crate) struct ProcessSandboxBuilder {
    task: PreparedTask,
    environment: Environment,
}

impl ProcessSandboxBuilder {
    pub(crate) fn new(task: PreparedTask, environment: Environment) -> Self {
        Self { task, environment }
    }

    /// Copies the requested inputs into the task's folder, after the disk space for all of them is reserved.
    ///
    /// Continues on a blocking thread if the future is dropped; the folder is then removed after the copies.
    async fn copy_inputs(self) -> Result<PreparedTask, TaskError> {
        let Self { task, environment } = self;
        if !task.folder.has_copies() {
            return Ok(task);
        }
        let measure = move || (task.folder.copies_size(), task);
        let (bytes, mut task) = run_blocking(measure).await?;
        // Two reservations: the tracker evicts idle resources until the disk has room, and the storage enforces
        // its quota. The first is released after the copies, when the disk shows them as used. The quota counts
        // them until the folder is removed.
        let evicted = environment.resource_tracker.reserve(bytes).await;
        let disk_space = evicted.map_err(TaskError::unavailable)?;
        let quota = environment.storage.reserve(bytes);
        let quota = quota.map_err(TaskError::unavailable)?;
        let copy = move || task.folder.make_copies(quota).map(|()| task);
        let copied = run_blocking(copy).await?;
        drop(disk_space);
        copied.map_err(|error| {
            if is_disk_full(&error.source) {
                TaskError::unavailable(error)
            } else {
                TaskError::other(error)
            }
        })
    }
}

/// Prepares the walls around a task whose folder has its content.
async fn raise_walls(mut task: PreparedTask) -> Result<PreparedTask, TaskError> {
    if task.engine.walls.is_none() {
        return Ok(task);
    }
    let raise = move || {
        let walls = task.engine.walls.as_ref();
        let walls = walls.map(|walls| walls.around(&task.folder)).transpose();
        walls.map(|walls| {
            task.walls = walls.map(Arc::new);
            task
        })
    };
    run_blocking(raise).await?.map_err(TaskError::other)
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(TaskError::other)
}

#[async_trait]
impl SandboxBuilder for ProcessSandboxBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        // The operating system cannot represent these: std would panic, or fail when the process starts.
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(MalformedPayloadError::new(format!(
                "invalid environment variable `{name}`: a name must not be empty or contain `=`, and neither name nor value may contain a NUL byte"
            )));
        }
        self.task.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn attach_folder(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.task.folder.attach_folder(source, target)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.task.folder.attach_copy(source, target)
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        let task = raise_walls(self.copy_inputs().await?).await?;
        Ok(Arc::new(ProcessSandbox::start(task)))
    }
}
