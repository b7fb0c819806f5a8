//! The state of a tunnel, which is open while hooks are attached.

use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::webhook::{AttachError, Handler, WebHook};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::registry::OnDetach;
use crate::server::HookServer;

/// The state that a tunnel and its hooks share.
#[derive(Debug)]
pub(crate) struct TunnelState {
    pub(crate) server: Arc<HookServer>,
    status: watch::Sender<Status>,
    /// The number of attached hooks.
    hook_count: watch::Sender<usize>,
    /// How long attaching a hook waits for the first connection.
    attach_timeout: Duration,
}

#[derive(Clone, Debug, Default)]
struct Status {
    /// The latest base URL; `None` until the tunnel is open for the first time.
    base_url: Option<String>,
    is_open: bool,
    /// The error of the latest attempt to open the tunnel.
    error: Option<Arc<dyn Error + Send + Sync>>,
}

impl TunnelState {
    pub(crate) fn new(server: &Arc<HookServer>, attach_timeout: Duration) -> Self {
        Self {
            server: Arc::clone(server),
            status: watch::Sender::default(),
            hook_count: watch::Sender::new(0),
            attach_timeout,
        }
    }

    /// Attaches a handler, and waits until the tunnel has been open once.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<WebHook, AttachError> {
        // If this future fails or is dropped, both are undone by their destructors.
        let hook = self.server.attach(handler, on_detach)?;
        // Before the wait: the tunnel is opened because a hook exists.
        let guard = HookGuard::new(self);
        self.wait_for_base_url().await?;
        Ok(hook.into_web_hook(guard))
    }

    /// Waits until a hook is attached.
    pub(crate) async fn wait_for_hook(&self) {
        let mut hook_count = self.hook_count.subscribe();
        // Never an error: `self` owns the sender.
        let _ = hook_count.wait_for(|count| *count > 0).await;
    }

    /// Records that the tunnel is open and serves hooks below `base_url`.
    pub(crate) fn set_open(&self, base_url: &str) {
        let monitor = &self.server.monitor;
        let previous = self.status.borrow().base_url.clone();
        // Holders of hooks are notified only of a real change, not of each reconnect.
        if previous.as_deref() != Some(base_url) {
            self.server.registry.set_base_url(base_url);
            monitor.info(format_args!("tunnel open: hooks are served at {base_url}"));
        }
        if previous.is_some_and(|previous| previous != base_url) {
            monitor.count("url-changes", 1);
        }
        monitor.count("tunnel-connects", 1);
        // After the URLs of the hooks: `attach` returns on this change, and its caller reads the
        // URL.
        self.status.send_replace(Status {
            base_url: Some(base_url.to_owned()),
            is_open: true,
            error: None,
        });
    }

    /// Records that the tunnel is closed.
    pub(crate) fn set_closed(&self) {
        // The base URL stays: the server usually assigns the same one again.
        self.status.send_modify(|status| status.is_open = false);
    }

    /// Records and logs a failed attempt to open the tunnel.
    pub(crate) fn set_error(&self, error: impl Error + Send + Sync + 'static) {
        let monitor = &self.server.monitor;
        monitor.count("tunnel-connect-errors", 1);
        let chain = runtime_core::error_chain(&error);
        let message = format!("cannot open the tunnel: {chain}");
        let error: Arc<dyn Error + Send + Sync> = Arc::new(error);
        let previous = self.status.borrow().error.clone();
        // Only the first of equal errors is a warning: a server may be down for hours, with an attempt every
        // few seconds.
        if previous.is_some_and(|previous| previous.to_string() == error.to_string()) {
            monitor.debug(message);
        } else {
            monitor.warn(message);
        }
        self.status.send_modify(|status| status.error = Some(error));
    }

    #[cfg(feature = "websocktunnel")]
    pub(crate) fn is_open(&self) -> bool {
        self.status.borrow().is_open
    }

    /// Waits until the tunnel is open, or closed.
    #[cfg(feature = "websocktunnel")]
    pub(crate) async fn wait_open(&self, is_open: bool) {
        let mut status = self.status.subscribe();
        // Never an error: `self` owns the sender.
        let _ = status.wait_for(|status| status.is_open == is_open).await;
    }

    async fn wait_for_base_url(&self) -> Result<(), AttachError> {
        let mut status = self.status.subscribe();
        let opened = status.wait_for(|status| status.base_url.is_some());
        let opened = timeout(self.attach_timeout, opened);
        match self.server.stopping.run_until_cancelled(opened).await {
            None => return Err(AttachError::Stopped),
            Some(Ok(_)) => return Ok(()),
            Some(Err(_)) => {}
        }
        let error = self.status.borrow().error.clone();
        Err(AttachError::Unreachable(match error {
            Some(error) => error.into(),
            None => "the tunnel is still connecting".into(),
        }))
    }
}

/// Counts as an attached hook until it is dropped.
///
/// It does not keep the tunnel alive if the hook outlives it.
#[derive(Debug)]
struct HookGuard(Weak<TunnelState>);

impl HookGuard {
    fn new(tunnel: &Arc<TunnelState>) -> Self {
        tunnel.hook_count.send_modify(|count| *count += 1);
        Self(Arc::downgrade(tunnel))
    }
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        if let Some(tunnel) = self.0.upgrade() {
            tunnel.hook_count.send_modify(|count| *count -= 1);
        }
    }
}
