//! What tunnels have in common: they are open while hooks are attached, and their URL is known then.

use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::webhook::{AttachError, Handler, WebHook};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::OnDetach;
use crate::server::Server;

/// Whether the tunnel is wanted, and whether it is open.
#[derive(Debug)]
pub(crate) struct Gate {
    status: watch::Sender<Status>,
    /// How many hooks are attached.
    attached: watch::Sender<usize>,
    /// How long attaching waits for the tunnel to open the first time.
    attach_timeout: Duration,
}

/// What is known about the tunnel.
#[derive(Clone, Debug, Default)]
struct Status {
    /// The latest base of URLs, if there was one.
    base: Option<String>,
    is_open: bool,
    /// Why the latest attempt failed.
    error: Option<Arc<dyn Error + Send + Sync>>,
}

impl Gate {
    pub(crate) fn new(attach_timeout: Duration) -> Self {
        Self {
            status: watch::Sender::default(),
            attached: watch::Sender::new(0),
            attach_timeout,
        }
    }

    /// Attaches a handler, once the tunnel was open.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        server: &Arc<Server>,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<WebHook, AttachError> {
        let hook = server.attach(handler, on_detach)?;
        let interest = Interest::new(self);
        // Dropped here, both undo what they did.
        self.wait_for_url(server).await?;
        Ok(hook.into_web_hook(move || drop(interest)))
    }

    /// Waits until a hook is attached.
    pub(crate) async fn wanted(&self) {
        let mut attached = self.attached.subscribe();
        // The sender is in `self`.
        let _ = attached.wait_for(|count| *count > 0).await;
    }

    /// The tunnel is open, and hooks are below this URL.
    pub(crate) fn opened(&self, server: &Server, base: &str) {
        let before = self.status.borrow().base.clone();
        if before.as_deref() != Some(base) {
            server.registry.rebase(base);
            server
                .monitor
                .info(format_args!("the tunnel is open: hooks are below {base}"));
        }
        if before.is_some_and(|before| before != base) {
            server.monitor.count("url-changes", 1);
        }
        server.monitor.count("tunnel-connects", 1);
        self.status.send_replace(Status {
            base: Some(base.to_owned()),
            is_open: true,
            error: None,
        });
    }

    /// The tunnel was open, and is not any more.
    pub(crate) fn closed(&self) {
        self.status.send_modify(|status| status.is_open = false);
    }

    /// The tunnel could not be opened.
    pub(crate) fn failed(&self, server: &Server, error: impl Error + Send + Sync + 'static) {
        server.monitor.count("tunnel-connect-errors", 1);
        let text = format!("no tunnel for now: {}", runtime_core::error_chain(&error));
        let error: Arc<dyn Error + Send + Sync> = Arc::new(error);
        let before = self.status.borrow().error.clone();
        // A server that is away for hours does not need a line a second.
        match before.is_some_and(|before| before.to_string() == error.to_string()) {
            true => server.monitor.debug(text),
            false => server.monitor.warn(text),
        }
        self.status.send_modify(|status| status.error = Some(error));
    }

    #[cfg(feature = "websocktunnel")]
    pub(crate) fn is_open(&self) -> bool {
        self.status.borrow().is_open
    }

    #[cfg(feature = "websocktunnel")]
    pub(crate) async fn wait_open(&self, is_open: bool) {
        let mut status = self.status.subscribe();
        // The sender is in `self`.
        let _ = status.wait_for(|status| status.is_open == is_open).await;
    }

    /// Waits until the tunnel was open once.
    async fn wait_for_url(&self, server: &Server) -> Result<(), AttachError> {
        let mut status = self.status.subscribe();
        let known = status.wait_for(|status| status.base.is_some());
        let known = timeout(self.attach_timeout, known);
        let known = server.stopping.run_until_cancelled(known);
        match known.await {
            None => return Err(AttachError::Stopped),
            Some(Ok(_)) => return Ok(()),
            Some(Err(_)) => {}
        }
        let error = self.status.borrow().error.clone();
        Err(AttachError::Unreachable(match error {
            Some(error) => error.into(),
            None => "the tunnel is still being opened".into(),
        }))
    }
}

/// Counts as a hook for as long as it lives.
#[derive(Debug)]
struct Interest(Weak<Gate>);

impl Interest {
    fn new(gate: &Arc<Gate>) -> Self {
        gate.attached.send_modify(|count| *count += 1);
        Self(Arc::downgrade(gate))
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some(gate) = self.0.upgrade() {
            gate.attached.send_modify(|count| *count -= 1);
        }
    }
}
