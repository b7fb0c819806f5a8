//! A task before it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::util::is_disk_full;
use runtime_core::{Environment, MalformedPayloadError, TaskContext, TaskError};
use runtime_worker::{Sandbox, SandboxBuilder};
use runtime_worker::{TaskRecord, TaskRun};

use crate::engine::Shared;
use crate::folder::TaskFolder;
use crate::sandbox::ProcessSandbox;

/// Collects what a task's processes start with.
pub(crate) struct ProcessBuilder {
    pub(crate) context: TaskContext,
    environment: Environment,
    pub(crate) record: Arc<TaskRecord>,
    pub(crate) folder: TaskFolder,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: Vec<Vec<String>>,
}

impl ProcessBuilder {
    pub(crate) fn new(
        run: &TaskRun,
        folder: TaskFolder,
        env: BTreeMap<String, String>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            context: run.context.clone(),
            environment: run.environment.clone(),
            record: Arc::clone(&run.record),
            folder,
            env,
            shared,
            commands: Vec::new(),
        }
    }

    pub(crate) fn set_commands(&mut self, commands: Vec<Vec<String>>) {
        self.commands = commands;
    }

    /// Makes the copies that were asked for, which may take long, once there is room for all of them.
    ///
    /// When the task is stopped meanwhile, the folder is removed once the copies are made.
    async fn filled(self) -> Result<Self, TaskError> {
        if !self.folder.awaits_copies() {
            return Ok(self);
        }
        let measure = move || (self.folder.size_of_copies(), self);
        let (bytes, mut builder) = blocking(measure).await?;
        let environment = &builder.environment;
        // The collector frees what is idle for it, and the storage keeps to its quota.
        let freed = environment.resource_tracker.reserve(bytes).await;
        let freed = freed.map_err(TaskError::unavailable)?;
        let room = environment.storage.reserve(bytes);
        let room = room.map_err(TaskError::unavailable)?;
        let fill = move || builder.folder.make_copies(room).map(|()| builder);
        let filled = blocking(fill).await?;
        drop(freed);
        filled.map_err(|error| match is_disk_full(&error.source) {
            true => TaskError::unavailable(error),
            false => TaskError::other(error),
        })
    }
}

/// Does what blocks where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(TaskError::other)
}

#[async_trait]
impl SandboxBuilder for ProcessBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        // The operating system cannot carry these, and std panics or fails late on them.
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(MalformedPayloadError::new(format!(
                "`{name}` cannot be an environment variable with this value"
            )));
        }
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn attach_folder(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.folder.attach_folder(source, target)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.folder.attach_copy(source, target)
    }

    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        let builder = self.filled().await?;
        Ok(Arc::new(ProcessSandbox::start(builder)))
    }
}
