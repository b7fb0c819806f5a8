//! Servers of hooks, and the hooks that they attach.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Handler;
use crate::BoxError;

/// Gives handlers a URL.
#[async_trait]
pub trait WebHookServer: Send + Sync + fmt::Debug {
    /// Attaches `handler` under a new URL that nobody can guess.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] if there is no way to the outside.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing stays attached.
    async fn attach(&self, handler: Arc<dyn Handler>) -> Result<WebHook, AttachError>;
}

/// A handler that is attached; dropping it detaches.
///
/// The URL lets whoever has it use the hook: treat it as a secret. `Debug` does not show it.
#[must_use = "dropping a hook detaches it"]
pub struct WebHook {
    url: watch::Receiver<String>,
    detach: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl WebHook {
    /// Makes a hook; `detach` is called once, when it is dropped.
    pub fn new(
        url: watch::Receiver<String>,
        detach: impl FnOnce() + Send + Sync + 'static,
    ) -> Self {
        Self {
            url,
            detach: Some(Box::new(detach)),
        }
    }

    /// The URL of this moment, with a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.borrow().clone()
    }

    /// Waits until the URL has become another, which tunnels may bring about; `false` when it never will again.
    ///
    /// # Cancel safety
    ///
    /// Safe: a change that this call did not return is seen by the next.
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

/// Hooks that are detached together, such as those of one task.
#[derive(Debug)]
pub struct WebHookSet {
    server: Arc<dyn WebHookServer>,
    hooks: Mutex<Vec<WebHook>>,
}

impl WebHookSet {
    /// Makes an empty set that attaches to `server`.
    pub fn new(server: Arc<dyn WebHookServer>) -> Self {
        Self {
            server,
            hooks: Mutex::new(Vec::new()),
        }
    }

    /// Attaches `handler` for as long as the set lives, and returns its URL.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] if there is no way to the outside.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing stays attached.
    pub async fn attach(&self, handler: Arc<dyn Handler>) -> Result<String, AttachError> {
        let hook = self.server.attach(handler).await?;
        let url = hook.url();
        self.hooks.lock().push(hook);
        Ok(url)
    }

    /// Detaches all hooks.
    pub fn detach_all(&self) {
        // Dropped outside the lock, since detaching runs code of the server.
        drop(std::mem::take(&mut *self.hooks.lock()));
    }
}

/// A hook could not be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The server was stopped.
    #[error("cannot attach a hook: the web hook server was stopped")]
    Stopped,

    /// There is no server in this environment.
    #[error("cannot attach a hook: this worker has no web hook server")]
    NoServer,

    /// The way to the outside could not be opened.
    #[error("cannot attach a hook: there is no way to the outside")]
    Unreachable(#[source] BoxError),
}

/// A server for workers that have none: every attach is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWebHookServer;

#[async_trait]
impl WebHookServer for NoWebHookServer {
    async fn attach(&self, _: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        Err(AttachError::NoServer)
    }
}
