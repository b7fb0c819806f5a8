//! Requests for a folder.

use std::sync::Arc;

use runtime_core::BoxError;

use super::cache::{FolderCache, FolderKey};
use super::construction::{FolderConstruction, FolderWaiter, lease};
use super::handle::FolderHandle;
use super::new_folder::NewFolder;
use crate::constructor::ConstructionProgress;
use crate::error::RequireError;
use crate::lookup::BeginResult;

/// The result of [`FolderCache::begin`].
#[derive(Debug)]
pub enum FolderLookup<K: FolderKey> {
    /// The cache has the folder.
    Hit(FolderHandle<K>),
    /// Another request fills the folder.
    Joined(FolderWaiter<K>),
    /// The caller has to fill a new folder.
    New(FolderConstruction<K>),
}

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
            let waiter = match self.begin(key) {
                FolderLookup::Hit(handle) => return Ok(handle),
                FolderLookup::Joined(waiter) => waiter,
                FolderLookup::New(construction) => {
                    let (fill, folder) = (Arc::clone(&fill), construction.folder().clone());
                    construction.spawn(async move { fill(folder).await })
                }
            };
            if let Some(handle) = waiter.wait(&mut listener).await? {
                return Ok(handle);
            }
        }
    }

    /// Returns the folder or the construction of a key, or begins a new folder for the caller to fill.
    ///
    /// In a shared cache there is one construction for a key at a time: the first caller gets
    /// [`FolderLookup::New`] and fills the folder, the others get [`FolderLookup::Joined`] and wait.
    ///
    /// ```
    /// use runtime_caching::{FolderLookup, FolderCache};
    /// use runtime_gc::ResourceTracker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let root = tempfile::tempdir()?;
    /// let cache = FolderCache::<String>::builder(root.path()).open(ResourceTracker::detached()).await?;
    /// let handle = loop {
    ///     let waiter = match cache.begin(&"a".to_owned()) {
    ///         FolderLookup::Hit(handle) => break handle,
    ///         FolderLookup::Joined(waiter) => waiter,
    ///         FolderLookup::New(construction) => {
    ///             let content = construction.folder().path().join("content");
    ///             construction.spawn(async move { std::fs::write(content, "precious") })
    ///         }
    ///     };
    ///     if let Some(handle) = waiter.wait(|_| {}).await? {
    ///         break handle;
    ///     }
    /// };
    /// assert_eq!(std::fs::read_to_string(handle.path().join("content"))?, "precious");
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin(&self, key: &K) -> FolderLookup<K> {
        loop {
            match self.map.begin(key) {
                BeginResult::Hit(handle) => {
                    if let Some(handle) = lease(handle) {
                        return FolderLookup::Hit(handle);
                    }
                }
                BeginResult::Joined(waiter) => {
                    return FolderLookup::Joined(FolderWaiter::new(&self.map, waiter));
                }
                BeginResult::New(task, waiter) => {
                    let waiter = FolderWaiter::new(&self.map, waiter);
                    let (root, policy) = (&self.root, &self.policy);
                    return FolderLookup::New(FolderConstruction::new(task, waiter, root, policy));
                }
            }
        }
    }
}
