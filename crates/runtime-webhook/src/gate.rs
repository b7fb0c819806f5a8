//! What tunnels have in common: they are open while hooks are attached, and their URL is known then.

use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime_core::webhook::AttachError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::server::Server;

/// Whether the tunnel is wanted, and whether it is open.
#[derive(Debug)]
pub(crate) struct Gate {
    status: watch::Sender<Status>,
    /// How many hooks are attached.
    attached: watch::Sender<usize>,
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
    pub(crate) fn new() -> Self {
        Self {
            status: watch::Sender::default(),
            attached: watch::Sender::new(0),
        }
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
        let text = runtime_core::chain(&error);
        server
            .monitor
            .warn(format_args!("no tunnel for now: {text}"));
        self.status
            .send_modify(|status| status.error = Some(Arc::new(error)));
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
    pub(crate) async fn wait_for_url(
        &self,
        server: &Server,
        limit: Duration,
    ) -> Result<(), AttachError> {
        let mut status = self.status.subscribe();
        let known = status.wait_for(|status| status.base.is_some());
        let known = server.stopping.run_until_cancelled(timeout(limit, known));
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
pub(crate) struct Interest(Weak<Gate>);

impl Interest {
    pub(crate) fn new(gate: &Arc<Gate>) -> Self {
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
