//! Requests for a folder with a function that fills it.

use std::sync::Arc;

use runtime_core::BoxError;

use super::begin::FolderWaiter;
use super::cache::{FolderCache, FolderKey};
use super::handle::FolderHandle;
use super::lease::lease_in_background;
use super::new_folder::NewFolder;
use crate::constructor::ConstructionProgress;
use crate::error::RequireError;
use crate::single_flight::{ANY_SOURCE, MapLookup};

impl<K: FolderKey> FolderCache<K> {
    /// Returns the folder for a key. If the cache does not have it, `fill` receives an empty folder to fill.
    ///
    /// In a shared cache, concurrent requests for a key wait for one construction. It runs on its own task,
    /// and is cancelled when all of them have been dropped.
    ///
    /// # Errors
    ///
    /// A [`RequireError`] if `fill` fails or panics, or if the new folder cannot be created. All waiters get it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the construction to the other waiters. Dropping the last one cancels it and
    /// removes the new folder.
    pub async fn require<F, Fut, E>(
        &self,
        key: &K,
        fill: F,
    ) -> Result<FolderHandle<K>, RequireError>
    where
        F: Fn(NewFolder) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<BoxError>,
    {
        self.require_with_progress(key, fill, |_| {}).await
    }

    /// Returns the folder for a key like [`require`](Self::require), and passes progress to `listener`.
    ///
    /// # Errors
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Panics
    ///
    /// Same as [`require`](Self::require).
    ///
    /// # Cancel safety
    ///
    /// Same as [`require`](Self::require).
    pub async fn require_with_progress<F, Fut, E>(
        &self,
        key: &K,
        fill: F,
        mut listener: impl FnMut(&ConstructionProgress) + Send,
    ) -> Result<FolderHandle<K>, RequireError>
    where
        F: Fn(NewFolder) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<BoxError>,
    {
        let fill = Arc::new(fill);
        loop {
            let waiter = match self.map.begin(key, ANY_SOURCE) {
                MapLookup::Hit(handle) => match lease_in_background(handle).await? {
                    Some(handle) => return Ok(handle),
                    None => continue,
                },
                MapLookup::Joined(waiter) => FolderWaiter::new(&self.map, waiter),
                MapLookup::New(task, waiter) => {
                    let construction = self.new_construction(task, waiter);
                    let (fill, folder) = (Arc::clone(&fill), construction.folder().clone());
                    construction.spawn(async move { fill(folder).await })
                }
            };
            if let Some(handle) = waiter.wait(&mut listener).await? {
                return Ok(handle);
            }
        }
    }
}
