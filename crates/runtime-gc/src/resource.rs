//! The count of users that every disposable resource embeds.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::Disposable;
use crate::moment::Moment;
use crate::registry::Link;
use crate::sys::{AtomicI64, Ordering};
use crate::uses::{Claim, Left, Uses};

/// How many use a resource, and when the last of them left.
///
/// Every [`Disposable`] holds one. A clone is the same count. A resource with users is never disposed
/// of, and one that is being disposed of gets no new user.
///
/// ```
/// use runtime_gc::DisposableResource;
///
/// let resource = DisposableResource::new();
/// assert!(resource.acquire());
/// assert_eq!(resource.users(), 1);
/// resource.release();
/// assert!(resource.idle_for().is_some());
/// ```
#[derive(Clone)]
pub struct DisposableResource {
    state: Arc<State>,
}

struct State {
    uses: Uses,
    last_used: AtomicI64,
    /// Who to tell when the last user of a watched resource leaves.
    link: Mutex<Option<Link>>,
}

impl DisposableResource {
    /// A count without users, last used now.
    #[must_use]
    pub fn new() -> Self {
        Self::with_idle_time(Duration::ZERO)
    }

    /// A count without users, last used so long ago: for what an earlier process left.
    #[must_use]
    pub fn with_idle_time(ago: Duration) -> Self {
        let state = State {
            uses: Uses::new(),
            last_used: AtomicI64::new(Moment::now().earlier(ago).0),
            link: Mutex::new(None),
        };
        Self {
            state: Arc::new(state),
        }
    }

    /// Adds a user, or tells with `false` that the resource is on its way out.
    ///
    /// It takes no lock. [`InUse`] does it with a guard.
    #[must_use = "a resource that was not acquired must not be used"]
    #[inline]
    pub fn acquire(&self) -> bool {
        self.state.uses.enter()
    }

    /// Adds the only user. `false` if there is one, or the resource is on its way out.
    #[must_use = "a resource that was not acquired must not be used"]
    pub fn acquire_exclusive(&self) -> bool {
        self.state.uses.enter_alone()
    }

    /// Takes a user away. With the last one, the resource is idle and was last used now, to a few milliseconds.
    ///
    /// # Panics
    ///
    /// If nobody has acquired it: a count that is wrong would make the resource immortal, or would
    /// dispose of it under somebody's feet.
    #[inline]
    pub fn release(&self) {
        if self.state.uses.leave(|| self.touch()) == Left::Watched {
            self.tell_idle();
        }
    }

    /// How many use it now.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.state.uses.users()
    }

    /// For how long nobody has used it; `None` while somebody does.
    #[must_use]
    pub fn idle_for(&self) -> Option<Duration> {
        (self.users() == 0).then(|| Moment::now().since(self.last_used()))
    }

    /// Whether it gets no new user, because it was discarded or is being disposed of.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.state.uses.is_retired()
    }

    /// Only one thread at a time is the last user, and sees what the last one before it stored.
    fn touch(&self) {
        let now = Moment::nearly_now();
        if now > self.last_used() {
            self.state.last_used.store(now.0, Ordering::Relaxed);
        }
    }

    pub(crate) fn last_used(&self) -> Moment {
        Moment(self.state.last_used.load(Ordering::Relaxed))
    }

    pub(crate) fn join(&self) {
        self.state.uses.join();
    }

    pub(crate) fn claim(&self) -> Claim {
        self.state.uses.claim()
    }

    pub(crate) fn unclaim(&self) {
        self.state.uses.unclaim();
    }

    pub(crate) fn retire(&self) -> bool {
        self.state.uses.retire()
    }

    /// Ties the count to its place in a registry; `false` if it has one already.
    pub(crate) fn tie(&self, link: Link) -> bool {
        let mut place = self.state.link.lock();
        place.is_none() && place.replace(link).is_none()
    }

    pub(crate) fn untie(&self) {
        drop(self.state.link.lock().take());
    }

    #[cold]
    fn tell_idle(&self) {
        let link = self.state.link.lock().clone();
        if let Some(link) = link {
            link.idle();
        }
    }
}

impl Default for DisposableResource {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DisposableResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DisposableResource")
            .field("users", &self.users())
            .field("retired", &self.is_retired())
            .finish_non_exhaustive()
    }
}

/// A user of a resource: it can be used through this, and is released when this is dropped.
///
/// A clone is another user, and works also when the resource has been discarded meanwhile.
#[derive(Debug)]
pub struct InUse<T: Disposable + ?Sized> {
    resource: Arc<T>,
}

impl<T: Disposable + ?Sized> InUse<T> {
    /// Acquires the resource, or returns `None` if it is on its way out.
    #[must_use]
    pub fn new(resource: Arc<T>) -> Option<Self> {
        let acquired = resource.resource().acquire();
        acquired.then(|| Self { resource })
    }

    /// Acquires a resource that was just made, before it is registered.
    ///
    /// # Panics
    ///
    /// If it is on its way out, which nothing can be that no tracker knows.
    #[must_use]
    pub fn first(resource: Arc<T>) -> Self {
        Self::new(resource).expect("a resource that was not registered was disposed of")
    }

    /// Acquires the resource if nobody else uses it, for those that only one may use at a time.
    #[must_use]
    pub fn exclusive(resource: Arc<T>) -> Option<Self> {
        let acquired = resource.resource().acquire_exclusive();
        acquired.then(|| Self { resource })
    }

    /// The resource, which stays in use only as long as this is.
    #[must_use]
    pub fn as_arc(&self) -> &Arc<T> {
        &self.resource
    }
}

impl<T: Disposable + ?Sized> Clone for InUse<T> {
    fn clone(&self) -> Self {
        self.resource.resource().join();
        Self {
            resource: Arc::clone(&self.resource),
        }
    }
}

impl<T: Disposable + ?Sized> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.resource
    }
}

impl<T: Disposable + ?Sized> Drop for InUse<T> {
    fn drop(&mut self) {
        self.resource.resource().release();
    }
}
