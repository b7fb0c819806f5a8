//! Web hooks and the servers that attach them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Handler;
use crate::error::BoxError;

/// A server that assigns URLs to handlers.
#[async_trait]
pub trait WebHookServer: Send + Sync + fmt::Debug {
    /// Attaches `handler` under a new, unguessable URL.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] if the server was stopped or cannot be reached from outside.
    ///
    /// # Cancel safety
    ///
    /// Safe: a hook attached by a dropped future is detached.
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError>;
}

/// An attached handler, detached on drop.
///
/// The URL grants access to the hook: treat it as a secret. `Debug` does not show it.
#[must_use = "dropping a hook detaches it"]
pub struct WebHook {
    // A tunnel that reconnects may get another URL.
    url: watch::Receiver<String>,
    detach: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl WebHook {
    /// Creates a hook. `detach` is called when the hook is dropped.
    pub fn new(
        url: watch::Receiver<String>,
        detach: impl FnOnce() + Send + Sync + 'static,
    ) -> Self {
        Self {
            url,
            detach: Some(Box::new(detach)),
        }
    }

    /// Returns the current URL, with a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.borrow().clone()
    }

    /// Waits until the URL changes, such as after a tunnel reconnects; `false` if it can no longer change.
    ///
    /// # Cancel safety
    ///
    /// Safe: a change not returned by a dropped future is returned by the next call.
    pub async fn url_changed(&mut self) -> bool {
        self.url.changed().await.is_ok()
    }
}

impl Drop for WebHook {
    fn drop(&mut self) {
        if let Some(detach) = self.detach.take() {
            detach();
        }
    }
}

impl fmt::Debug for WebHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebHook").finish_non_exhaustive()
    }
}

/// A group of hooks that are detached together, such as those of one task.
#[derive(Debug)]
pub struct WebHookSet {
    server: Arc<dyn WebHookServer>,
    hooks: Mutex<Vec<WebHook>>,
}

impl WebHookSet {
    /// Creates an empty set on `server`.
    pub fn new(server: Arc<dyn WebHookServer>) -> Self {
        Self {
            server,
            hooks: Mutex::new(Vec::new()),
        }
    }

    /// Attaches `handler` until the set is dropped or [cleared](Self::detach_all), and returns its URL.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] if the server was stopped or cannot be reached from outside.
    ///
    /// # Cancel safety
    ///
    /// Safe: a hook attached by a dropped future is detached.
    pub async fn attach(&self, handler: Arc<dyn Handler>) -> Result<String, AttachError> {
        let hook = self.server.attach(handler).await?;
        let url = hook.url();
        self.hooks.lock().push(hook);
        Ok(url)
    }

    /// Detaches all hooks.
    pub fn detach_all(&self) {
        // Dropped outside the lock: detaching runs code of the server.
        drop(std::mem::take(&mut *self.hooks.lock()));
    }
}

/// The error of attaching a hook.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The server is stopped.
    #[error("cannot attach a hook: the web hook server was stopped")]
    Stopped,

    /// The environment has no web hook server.
    #[error("cannot attach a hook: this worker has no web hook server")]
    NoServer,

    /// The server has no connection through which clients could reach it.
    #[error("cannot attach a hook: the web hook server has no connection to the outside")]
    Unreachable(#[source] BoxError),
}

/// A web hook server for workers without web hooks: every `attach` fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWebHookServer;

#[async_trait]
impl WebHookServer for NoWebHookServer {
    async fn attach(&self, _: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        Err(AttachError::NoServer)
    }
}
