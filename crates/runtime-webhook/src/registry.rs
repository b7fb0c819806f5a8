//! Which handler is attached under which id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;
use runtime_core::webhook::{AttachError, Handler};
use tokio::sync::watch;

use crate::OnDetach;
use crate::cut::Cut;
use crate::id::HookId;
use crate::sys::Mutex;

/// The hooks of a server.
///
/// They are found by a keyed hash of their id, and the id itself is then compared in constant time: how
/// long a look-up takes tells nothing about the ids that exist.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    key: RandomState,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// What stands before the ids, with a slash at the end.
    base: String,
    hooks: HashMap<u64, Arc<Hook>>,
}

impl Registry {
    /// Attaches a handler under a new id.
    pub(crate) fn attach(
        &self,
        handler: Arc<dyn Handler>,
        on_detach: OnDetach,
    ) -> Result<Arc<Hook>, AttachError> {
        loop {
            let id = HookId::random().map_err(|error| AttachError::Unreachable(error.into()))?;
            let key = self.key.hash_one(id.as_str());
            let mut state = self.state.write();
            if state.closed {
                return Err(AttachError::Stopped);
            }
            // Two ids with the same hash are unlikely, but the second must not replace the first.
            if let Entry::Vacant(place) = state.hooks.entry(key) {
                let hook = Arc::new(Hook::new(id, handler, on_detach));
                place.insert(Arc::clone(&hook));
                hook.url.send_replace(hook.url_below(&state.base));
                return Ok(hook);
            }
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Hook>> {
        let key = self.key.hash_one(id);
        let hook = self.state.read().hooks.get(&key).cloned()?;
        hook.id.is(id).then_some(hook)
    }

    /// Takes a hook away, and ends what it still serves if it is to be cut.
    pub(crate) fn detach(&self, hook: &Hook) {
        let key = self.key.hash_one(hook.id.as_str());
        let removed = self.state.write().hooks.remove(&key);
        drop(removed);
        hook.cut();
    }

    /// Changes the URLs of all hooks, those to come included.
    pub(crate) fn rebase(&self, base: &str) {
        let mut state = self.state.write();
        state.base = base.to_owned();
        for hook in state.hooks.values() {
            hook.url.send_replace(hook.url_below(base));
        }
    }

    /// Refuses to attach more.
    pub(crate) fn close(&self) {
        self.state.write().closed = true;
    }
}

/// A handler under an id.
pub(crate) struct Hook {
    id: HookId,
    handler: Arc<dyn Handler>,
    on_detach: OnDetach,
    url: watch::Sender<String>,
    serving: Mutex<Serving>,
}

/// The connections to cut. Hooks that let requests finish keep none.
#[derive(Default)]
struct Serving {
    detached: bool,
    connections: HashMap<u64, Weak<Cut>>,
}

impl Hook {
    pub(crate) fn new(id: HookId, handler: Arc<dyn Handler>, on_detach: OnDetach) -> Self {
        Self {
            id,
            handler,
            on_detach,
            url: watch::Sender::default(),
            serving: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The URL of this moment, and those to come.
    pub(crate) fn url(&self) -> watch::Receiver<String> {
        self.url.subscribe()
    }

    fn url_below(&self, base: &str) -> String {
        format!("{base}{}/", self.id())
    }

    pub(crate) fn handler(&self) -> &dyn Handler {
        &*self.handler
    }

    /// Notes that a connection carries a request to this hook; `false` if the hook was cut off meanwhile.
    pub(crate) fn enter(self: &Arc<Self>, connection: &Arc<Cut>) -> bool {
        if self.on_detach == OnDetach::Finish {
            connection.serves_nothing();
            return true;
        }
        let mut serving = self.serving.lock();
        if serving.detached {
            return false;
        }
        serving
            .connections
            .insert(connection.number(), Arc::downgrade(connection));
        drop(serving);
        connection.serves(Arc::clone(self));
        true
    }

    /// Forgets a connection that went on to something else, or away.
    pub(crate) fn leave(&self, connection: &Cut) {
        self.serving.lock().connections.remove(&connection.number());
    }

    /// How many connections it could cut.
    #[cfg(all(test, runtime_loom))]
    pub(crate) fn connections(&self) -> usize {
        self.serving.lock().connections.len()
    }

    /// Ends what it still serves, if that was noted.
    pub(crate) fn cut(&self) {
        let mut serving = self.serving.lock();
        serving.detached = true;
        let connections = std::mem::take(&mut serving.connections);
        drop(serving);
        for connection in connections.values().filter_map(Weak::upgrade) {
            connection.cut();
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("id", &self.id)
            .field("on_detach", &self.on_detach)
            .finish_non_exhaustive()
    }
}
