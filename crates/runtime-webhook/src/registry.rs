//! The hooks of a server by id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use parking_lot::RwLock;
use runtime_core::webhook::{AttachError, Handler};
use tokio::sync::watch;

use crate::connection::{AbortSet, ConnectionHandle};
use crate::hook_id::HookId;

/// The fate of requests in progress when their hook is detached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDetach {
    /// Requests in progress finish; new ones are rejected.
    #[default]
    Finish,
    /// The connections are aborted, including upgraded ones.
    Abort,
}

/// The hooks of a server.
///
/// A lookup uses a keyed hash of the id, then compares the id in constant time. Its duration therefore
/// reveals nothing about existing ids.
#[derive(Debug, Default)]
pub(crate) struct HookRegistry {
    hasher: RandomState,
    hooks: RwLock<Hooks>,
}

#[derive(Debug, Default)]
struct Hooks {
    is_closed: bool,
    /// The part of URLs in front of the id, with a trailing slash.
    base_url: String,
    // By hash instead of by id: the comparison of a `HashMap<String, _>` ends at the first difference.
    by_hash: HashMap<u64, Arc<Hook>, BuildHasherDefault<PassHash>>,
}

/// The hasher of keys that are hashes already.
#[derive(Debug, Default)]
struct PassHash(u64);

impl Hasher for PassHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl HookRegistry {
    /// Attaches a handler under a new id.
    pub(crate) fn attach(
        &self,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<Arc<Hook>, AttachError> {
        loop {
            let id = HookId::random().map_err(|error| AttachError::Unreachable(error.into()))?;
            let hash = self.hasher.hash_one(id.as_str());
            let mut hooks = self.hooks.write();
            if hooks.is_closed {
                return Err(AttachError::Stopped);
            }
            // A hash collision is unlikely, but must not replace the hook that was there first.
            if let Entry::Vacant(entry) = hooks.by_hash.entry(hash) {
                let hook = Arc::new(Hook::new(id, handler, on_detach));
                entry.insert(Arc::clone(&hook));
                // Under the lock, so that a concurrent `set_base_url` cannot be overwritten with the old URL.
                hook.url.send_replace(hook.url_below(&hooks.base_url));
                return Ok(hook);
            }
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Hook>> {
        let hash = self.hasher.hash_one(id);
        let hook = self.hooks.read().by_hash.get(&hash).cloned()?;
        // The hash only selects a candidate: two ids may share it.
        hook.id.matches(id).then_some(hook)
    }

    /// Removes a hook, and aborts its connections if it was attached with [`OnDetach::Abort`].
    pub(crate) fn detach(&self, hook: &Hook) {
        let hash = self.hasher.hash_one(hook.id.as_str());
        let removed = self.hooks.write().by_hash.remove(&hash);
        // Dropped outside the lock: the destructor of the handler is arbitrary code.
        drop(removed);
        if let Some(set) = &hook.abort_set {
            set.abort();
        }
    }

    /// Changes the URLs of all hooks, including those attached later.
    pub(crate) fn set_base_url(&self, base_url: &str) {
        let mut hooks = self.hooks.write();
        hooks.base_url = base_url.to_owned();
        for hook in hooks.by_hash.values() {
            hook.url.send_replace(hook.url_below(base_url));
        }
    }

    /// Rejects further hooks.
    pub(crate) fn close(&self) {
        self.hooks.write().is_closed = true;
    }
}

/// A handler attached under an id.
pub(crate) struct Hook {
    id: HookId,
    pub(crate) handler: Arc<dyn Handler>,
    url: watch::Sender<String>,
    /// The connections to abort on detach; `None` with [`OnDetach::Finish`].
    abort_set: Option<Arc<AbortSet>>,
}

impl Hook {
    fn new(id: HookId, handler: Arc<dyn Handler>, on_detach: OnDetach) -> Self {
        Self {
            id,
            handler,
            url: watch::Sender::default(),
            abort_set: (on_detach == OnDetach::Abort).then(Arc::default),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Returns the current URL and its future changes.
    pub(crate) fn url(&self) -> watch::Receiver<String> {
        self.url.subscribe()
    }

    fn url_below(&self, base_url: &str) -> String {
        format!("{base_url}{}/", self.id())
    }

    /// Registers a connection that carries a request to this hook.
    ///
    /// Returns `false` if the hook was detached in the meantime and aborts its connections.
    pub(crate) fn admit(&self, connection: &Arc<ConnectionHandle>) -> bool {
        let Some(set) = &self.abort_set else {
            connection.leave_abort_set();
            return true;
        };
        set.insert(connection)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
