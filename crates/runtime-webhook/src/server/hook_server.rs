//! The state of a server: hooks, connections, tasks, and how they end.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::Monitor;
use runtime_core::webhook::{AttachError, Handler, WebHook};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::Connections;
use crate::http_limits::HttpLimits;
use crate::registry::{Hook, HookRegistry, OnDetach};

/// The handler of requests whose path names no hook.
#[derive(Clone)]
pub(crate) struct Fallback(pub(crate) Arc<dyn Handler>);

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallback")
    }
}

/// The state that all connections of a server share.
#[derive(Debug)]
pub(crate) struct HookServer {
    pub(crate) registry: HookRegistry,
    pub(crate) monitor: Monitor,
    pub(crate) limits: HttpLimits,
    pub(crate) connections: Connections,
    pub(crate) fallback: Option<Fallback>,
    /// All background tasks of the server.
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
}

impl HookServer {
    pub(crate) fn new(limits: HttpLimits, monitor: &Monitor, fallback: Option<Fallback>) -> Self {
        Self {
            registry: HookRegistry::default(),
            monitor: monitor.with_prefix("webhook"),
            connections: Connections::new(limits.max_connections),
            limits: limits.bounded(),
            fallback,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    pub(crate) fn attach(
        self: &Arc<Self>,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<AttachedHook, AttachError> {
        let hook = self.registry.attach(handler, on_detach)?;
        let server = Arc::downgrade(self);
        Ok(AttachedHook { hook, server })
    }

    /// Waits up to `grace` for requests in progress, aborts the remaining connections and returns their
    /// number.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        // First no new hooks and connections, then the shutdown of the open ones: a connection accepted in
        // between is shut down by `Connections::acquire`.
        self.registry.close();
        self.stopping.cancel();
        self.connections.shut_down_all();
        self.tasks.close();
        // Waits for connections instead of tasks: an upgraded connection stays open after its task has ended.
        let aborted = match timeout(grace, self.connections.all_closed()).await {
            Ok(()) => 0,
            Err(_) => self.connections.abort_all(),
        };
        self.tasks.wait().await;
        aborted
    }
}

/// Owns a running server and aborts all its connections on drop.
#[derive(Debug)]
pub(crate) struct AbortServerOnDrop(pub(crate) Arc<HookServer>);

impl Deref for AbortServerOnDrop {
    type Target = Arc<HookServer>;

    fn deref(&self) -> &Arc<HookServer> {
        &self.0
    }
}

impl Drop for AbortServerOnDrop {
    fn drop(&mut self) {
        self.registry.close();
        self.stopping.cancel();
        self.connections.abort_all();
    }
}

/// An attached handler, which is detached on drop.
#[derive(Debug)]
pub(crate) struct AttachedHook {
    hook: Arc<Hook>,
    // Weak: a hook that outlives its server must not keep the registry and its handlers alive.
    server: Weak<HookServer>,
}

impl AttachedHook {
    /// Returns a hook whose URL can change. Dropping it also drops `guard`.
    #[cfg(any(feature = "localtunnel", feature = "public", feature = "websocktunnel"))]
    pub(crate) fn into_web_hook(self, guard: impl Send + Sync + 'static) -> WebHook {
        WebHook::new(self.hook.url(), move || drop((self, guard)))
    }

    /// Returns a hook whose URL never changes.
    ///
    /// The sender of the URL is dropped here, so [`WebHook::url_changed`] returns `false` at once instead
    /// of waiting for a change that cannot happen.
    pub(crate) fn into_fixed_web_hook(self) -> WebHook {
        let url = self.hook.url().borrow().clone();
        WebHook::new(watch::channel(url).1, move || drop(self))
    }
}

impl Drop for AttachedHook {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.registry.detach(&self.hook);
        }
    }
}
