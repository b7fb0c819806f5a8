//! A task before it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::util::is_disk_full;
use runtime_core::{Environment, MalformedPayloadError, TaskContext, TaskError};

use super::engine::Shared;
use super::folder::TaskFolder;
use super::sandbox::ProcessSandbox;
use crate::engine::{Sandbox, SandboxBuilder};
use crate::{TaskRecord, TaskRun};

/// Collects what a task's processes start with.
pub(super) struct ProcessBuilder {
    pub(super) context: TaskContext,
    environment: Environment,
    pub(super) record: Arc<TaskRecord>,
    pub(super) folder: TaskFolder,
    pub(super) env: BTreeMap<String, String>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Vec<Vec<String>>,
}

impl ProcessBuilder {
    pub(super) fn new(
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

    pub(super) fn set_commands(&mut self, commands: Vec<Vec<String>>) {
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
