//! The set-up of a task before it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::util::is_disk_full;
use runtime_core::webhook::Handler;
use runtime_core::{Environment, MalformedPayloadError, TaskError};
use runtime_worker::{FolderAccess, Sandbox, SandboxBuilder};

use crate::isolation::TaskNetwork;
use crate::sandbox::ProcessSandbox;
use crate::task::PreparedTask;

/// Adds variables, folders, files and proxies to a task before it starts.
pub(crate) struct ProcessSandboxBuilder {
    task: PreparedTask,
    environment: Environment,
    /// The variables of the payload.
    payload_env: BTreeMap<String, String>,
    /// The variables that receive the URLs of handlers.
    proxies: Vec<(String, Arc<dyn Handler>)>,
}

impl ProcessSandboxBuilder {
    pub(crate) fn new(
        mut task: PreparedTask,
        environment: Environment,
        payload_env: BTreeMap<String, String>,
    ) -> Result<Self, MalformedPayloadError> {
        for (name, value) in &payload_env {
            check_variable(name, value)?;
            task.env.insert(name.clone(), value.clone());
        }
        Ok(Self {
            task,
            environment,
            payload_env,
            proxies: Vec::new(),
        })
    }

    /// Serves the handlers to the task.
    async fn start_proxies(&mut self) -> Result<(), TaskError> {
        for (variable, handler) in self.proxies.drain(..) {
            let hook = self.task.engine.serve(handler).await?;
            let url = hook.url();
            let url = url.trim_end_matches('/');
            // Other tasks on this machine can reach the address, and may read the live log of this one.
            let secret = url.rsplit('/').next().unwrap_or(url);
            let hidden = self.task.context.redactor().add(secret);
            hidden.map_err(TaskError::other)?;
            self.task.env.insert(variable, url.to_owned());
            self.task.proxies.push(hook);
        }
        Ok(())
    }

    /// Copies the requested inputs into the task's folder, after the disk space for all of them is reserved.
    ///
    /// Continues on a blocking thread if the future is dropped; the folder is then removed after the copies.
    async fn copy_inputs(self) -> Result<PreparedTask, TaskError> {
        let Self {
            task, environment, ..
        } = self;
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

/// Rejects what the operating system cannot represent: std would panic, or fail when the process starts.
fn check_variable(name: &str, value: &str) -> Result<(), MalformedPayloadError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(MalformedPayloadError::new(format!(
            "invalid environment variable `{name}`: a name must not be empty or contain `=`, and neither name nor value may contain a NUL byte"
        )));
    }
    Ok(())
}

#[async_trait]
impl SandboxBuilder for ProcessSandboxBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        check_variable(name, value)?;
        self.task.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn payload_env(&self, name: &str) -> Option<&str> {
        self.payload_env.get(name).map(String::as_str)
    }

    fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        if access == FolderAccess::ReadOnly && self.task.engine.walls.is_none() {
            return Err(MalformedPayloadError::new(format!(
                "cannot mount at `{target}`: this worker does not isolate its tasks, so it cannot attach read-only folders"
            )));
        }
        self.task.folder.attach_folder(source, target, access)
    }

    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        self.task.folder.attach_copy(source, target)
    }

    fn attach_proxy(
        &mut self,
        variable: &str,
        handler: Arc<dyn Handler>,
    ) -> Result<(), MalformedPayloadError> {
        check_variable(variable, "")?;
        if self.task.engine.settings.network == TaskNetwork::None {
            return Err(MalformedPayloadError::new(format!(
                "cannot set `{variable}` to the address of a proxy: tasks of this worker have no network"
            )));
        }
        self.proxies.push((variable.to_owned(), handler));
        Ok(())
    }

    async fn start(mut self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError> {
        self.start_proxies().await?;
        let task = raise_walls(self.copy_inputs().await?).await?;
        Ok(Arc::new(ProcessSandbox::start(task)))
    }
}
