//! A guard that keeps a resource in use.

use std::ops::Deref;
use std::sync::Arc;

use crate::disposable::Disposable;

/// A guard that keeps a resource in use and releases it on drop.
///
/// A clone counts as a further user. Cloning is possible even if the resource was discarded in the meantime.
#[derive(Debug)]
pub struct InUse<T: Disposable + ?Sized> {
    resource: Arc<T>,
}

impl<T: Disposable + ?Sized> InUse<T> {
    /// Acquires the resource, or returns `None` if it was discarded or is being disposed of.
    #[must_use]
    pub fn new(resource: Arc<T>) -> Option<Self> {
        let acquired = resource.resource().acquire();
        acquired.then(|| Self { resource })
    }

    /// Acquires a new resource before it is registered.
    ///
    /// # Panics
    ///
    /// If the resource was disposed of, which only a tracker can do.
    #[must_use]
    pub fn first(resource: Arc<T>) -> Self {
        Self::new(resource).expect("an unregistered resource was disposed of")
    }

    /// Acquires the resource as its only user, or returns `None`.
    #[must_use]
    pub fn exclusive(resource: Arc<T>) -> Option<Self> {
        let acquired = resource.resource().acquire_exclusive();
        acquired.then(|| Self { resource })
    }

    /// Returns the resource, which stays in use only while this guard exists.
    #[must_use]
    pub fn as_arc(&self) -> &Arc<T> {
        &self.resource
    }
}

impl<T: Disposable + ?Sized> Clone for InUse<T> {
    fn clone(&self) -> Self {
        self.resource.resource().uses().share();
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
