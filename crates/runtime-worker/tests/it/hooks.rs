//! A server of hooks that counts those which are attached.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use runtime_core::webhook::{AttachError, Handler, WebHook, WebHookServer};
use tokio::sync::watch;

/// Counts hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingHooks {
    attached: Arc<AtomicUsize>,
    ever: Arc<AtomicUsize>,
}

impl CountingHooks {
    /// How many are attached now.
    pub(crate) fn attached(&self) -> usize {
        self.attached.load(Ordering::SeqCst)
    }

    /// How many were attached in all.
    pub(crate) fn ever(&self) -> usize {
        self.ever.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl WebHookServer for CountingHooks {
    async fn attach(&self, _: Arc<dyn Handler>) -> Result<WebHook, AttachError> {
        self.attached.fetch_add(1, Ordering::SeqCst);
        let number = self.ever.fetch_add(1, Ordering::SeqCst);
        let (_, url) = watch::channel(format!("http://127.0.0.1:1/hook-{number}/"));
        let attached = Arc::clone(&self.attached);
        Ok(WebHook::new(url, move || {
            attached.fetch_sub(1, Ordering::SeqCst);
        }))
    }
}
