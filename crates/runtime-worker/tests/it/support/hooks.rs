//! A web hook server that counts its hooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};
use tokio::sync::watch;

/// Counts attached hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingHooks {
    attached: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
}

impl CountingHooks {
    /// Returns the number of attached hooks.
    pub(crate) fn attached(&self) -> usize {
        self.attached.load(Ordering::SeqCst)
    }

    /// Returns the number of hooks that were ever attached.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl WebHookServer for CountingHooks {
    async fn attach(&self, _: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attached.fetch_add(1, Ordering::SeqCst);
        let number = self.total.fetch_add(1, Ordering::SeqCst);
        let (_, url) = watch::channel(format!("http://127.0.0.1:1/hook-{number}/"));
        let attached = Arc::clone(&self.attached);
        Ok(WebHook::new(url, move || {
            attached.fetch_sub(1, Ordering::SeqCst);
        }))
    }
}
