//! The set-up of one task.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use runtime_core::webhook::Handler;
use runtime_core::{MalformedPayloadError, TaskError};

use super::Capability;
use super::sandbox::Sandbox;

/// What a task may do with an attached folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderAccess {
    /// The task cannot change the folder. An engine that cannot enforce this refuses.
    ReadOnly,
    /// The task's changes stay in the folder.
    ReadWrite,
}

impl FolderAccess {
    /// Returns the capability that an engine needs for it.
    #[must_use]
    pub fn capability(self) -> Capability {
        match self {
            Self::ReadOnly => Capability::ReadOnlyFolders,
            Self::ReadWrite => Capability::Folders,
        }
    }
}

/// The configuration of a sandbox before it starts.
///
/// By default, each optional method returns an error. An engine implements those that it supports, and lists them in
/// [`Engine::capabilities`](super::Engine::capabilities).
#[async_trait]
pub trait SandboxBuilder: Send {
    /// Sets an environment variable. It replaces a default of the engine.
    ///
    /// The builder that a plugin receives checks that the payload or another plugin has not given the variable
    /// another value.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the name is invalid, or if the variable has another value already. It names both
    /// owners.
    fn set_env(&mut self, name: &str, value: &str) -> Result<(), MalformedPayloadError> {
        let _ = (name, value);
        Err(Capability::EnvVars.refusal())
    }

    /// Returns the value that the payload gives an environment variable. Default: none.
    ///
    /// An engine whose payload has variables implements it, so that a plugin cannot replace them unnoticed.
    fn payload_env(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }

    /// Attaches a host folder at `target`, a path relative to the working directory of the task.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is invalid or already used, or if the engine cannot enforce `access`.
    fn attach_folder(
        &mut self,
        source: &Path,
        target: &str,
        access: FolderAccess,
    ) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(access.capability().refusal())
    }

    /// Attaches a private copy of a host file or folder at `target`, a path relative to the working directory of the
    /// task.
    ///
    /// An engine may defer the copy until [`start`](Self::start), so `source` must exist until then.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if `target` is invalid or already used.
    fn attach_copy(&mut self, source: &Path, target: &str) -> Result<(), MalformedPayloadError> {
        let _ = (source, target);
        Err(Capability::Copies.refusal())
    }

    /// Serves `handler` to this task alone, while it runs. The environment variable `variable` contains the URL as
    /// the task reaches it, without a slash at the end.
    ///
    /// The URL is a secret of the task. The path that the handler receives is relative to it.
    ///
    /// # Errors
    ///
    /// A [`MalformedPayloadError`] if the variable is invalid or set already.
    fn attach_proxy(
        &mut self,
        variable: &str,
        handler: Arc<dyn Handler>,
    ) -> Result<(), MalformedPayloadError> {
        let _ = (variable, handler);
        Err(Capability::Proxies.refusal())
    }

    /// Starts the task. Only the worker calls it.
    ///
    /// # Errors
    ///
    /// A [`TaskError`], which decides how the run is resolved.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the task is stopped and has to end everything that it started.
    async fn start(self: Box<Self>) -> Result<Arc<dyn Sandbox>, TaskError>;
}
