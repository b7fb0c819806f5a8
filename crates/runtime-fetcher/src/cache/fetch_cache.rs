//! A cache of inputs: single flight, access control by scopes, and verification after a restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime_caching::{FolderCache, FolderHandle, FolderLookup, LookupOutcome};

use super::adopted_inputs::AdoptedInputs;
use super::error::FetchCacheError;
use super::input_fetch::{FetchOptions, InputFetch, is_last};
use super::layout::{CONTENT, InputKey, InputLayout};
use crate::attempt_error::AttemptError;
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::progress::ProgressMeter;
use crate::reference::Reference;

/// A cache of inputs on disk. Clones share the cache.
///
/// Concurrent requests for an input share one fetch, and all tasks share the result. Inputs are kept across restarts
/// of the worker. The collector evicts idle inputs when space is needed, and reserves space for an input before
/// it is fetched.
///
/// A caller needs the scopes that the reference [requires](Reference::scopes), even for a cached copy. Two requests
/// share a copy if they have the same [`hash_key`](Reference::hash_key) and the same layout.
///
/// ```
/// use runtime_core::Services;
/// use runtime_fetcher::{
///     FetchCache, FetchConfig, FetchContext, Fetcher, InputLayout, HttpClient, RawFetcher,
/// };
/// use runtime_gc::ResourceTracker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// // One for the worker:
/// let http = HttpClient::new(FetchConfig::default())?;
/// let cache = FetchCache::builder(folder.path().join("inputs"));
/// let cache = cache.open(ResourceTracker::detached()).await?;
///
/// // For each input of a task:
/// let context = FetchContext::new(http, Services::disconnected());
/// let reference = RawFetcher.resolve(&context, &serde_json::json!({ "raw": "hello" })).await?;
/// let input = cache.require(&context, &reference, InputLayout::File).await?;
/// assert_eq!(std::fs::read(input.path())?, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FetchCache {
    pub(super) folders: FolderCache<InputKey>,
    pub(super) options: Arc<FetchOptions>,
    pub(super) adopted: Arc<AdoptedInputs>,
}

/// A handle that pins an input: it is not evicted while the handle exists.
///
/// Tasks share the input, so it must not be modified.
pub struct CachedInput {
    handle: FolderHandle<InputKey>,
    path: PathBuf,
}

impl FetchCache {
    /// Returns an input, which is fetched first if it is not cached.
    ///
    /// Concurrent callers with the same [source](Reference::source_key) wait for the same fetch and each receive its
    /// progress. The fetch uses the credentials of the first caller. If they are rejected, for example because that
    /// task has ended, the other callers fetch the input with their own. Callers with another source, such as another
    /// URL of the same bytes, fetch the input at the same time: they are neither delayed by the first server nor get
    /// its errors. The first complete copy stays in the cache.
    ///
    /// # Errors
    ///
    /// [`FetchCacheError::Scopes`] if the context lacks the required scopes, else [`FetchCacheError::Fetch`] for
    /// every waiting caller. Errors are not cached.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: the fetch continues for the other callers, and is cancelled and removed when the last one leaves.
    pub async fn require(
        &self,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        layout: InputLayout,
    ) -> Result<CachedInput, FetchCacheError> {
        let (subject, required) = (reference.subject(), reference.scopes());
        // Before the lookup: a cached copy must not bypass the check that the service makes for a fetch.
        if !required.satisfied_by(context.scopes()) {
            return Err(FetchCacheError::Scopes { subject, required });
        }
        loop {
            let handle = self.fetch_once(context, reference, layout, &subject);
            let handle = handle.await?;
            if self.adopted.is_unchanged(&handle).await {
                return Ok(CachedInput::new(handle));
            }
            tracing::warn!(%subject, "cached input changed on disk since it was fetched; fetching it again");
            handle.poison();
        }
    }

    /// Removes the inputs fetched before a time, once they are idle. Returns their number.
    pub fn purge_before(&self, fetched_before: SystemTime) -> usize {
        self.folders.purge(|input| input.created < fetched_before)
    }

    /// Returns the number of inputs, including those being fetched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Returns whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Returns the folder of an input, after waiting for a fetch if it is not cached.
    async fn fetch_once(
        &self,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        layout: InputLayout,
        subject: &str,
    ) -> Result<FolderHandle<InputKey>, FetchCacheError> {
        let key = InputKey::new(reference.hash_key(), layout, subject);
        let source = reference.source_key();
        let mut meter = None;
        let handle = loop {
            let (waiter, is_mine) = match self.folders.begin_from(&key, source.as_str()) {
                FolderLookup::Hit(handle) => break handle,
                FolderLookup::Joined(waiter) => (waiter, false),
                FolderLookup::New(construction) => {
                    let folder = construction.folder().clone();
                    let fetch = InputFetch::new(folder, context, reference, layout, &self.options);
                    // Spawned, so that the fetch continues for callers that joined it if this one is cancelled.
                    (construction.spawn(fetch.run()), true)
                }
            };
            let waited = waiter.wait(|progress| {
                // The fetch itself keeps the interval between events.
                let start = || ProgressMeter::start(subject, context.listener(), Duration::ZERO);
                let meter = meter.get_or_insert_with(start);
                meter.follow(progress.done, progress.total, is_last(progress));
            });
            match waited.await {
                Ok(Some(handle)) => break handle,
                // The folder was removed between its commit and now: begin again.
                Ok(None) => {}
                // Most likely the credentials of the task that began the fetch: fetch with our own.
                Err(source) if !is_mine && depends_on_credentials(source.cause()) => {}
                Err(source) => {
                    let subject = subject.to_owned();
                    return Err(FetchCacheError::Fetch { subject, source });
                }
            }
        };
        if let Some(meter) = meter {
            meter.finish();
        }
        Ok(handle)
    }
}

/// Returns whether the same fetch with other credentials may succeed.
fn depends_on_credentials(error: Option<&FetchError>) -> bool {
    match error {
        // Its requests carry the credentials of the task that began the fetch.
        Some(FetchError::Worker { .. }) => true,
        // The service refused the task. A 403 of the server with the bytes concerns every task alike.
        Some(FetchError::Broken { source, .. }) => {
            matches!(source, AttemptError::Api(error) if error.status() == Some(403))
        }
        _ => false,
    }
}

impl CachedInput {
    fn new(handle: FolderHandle<InputKey>) -> Self {
        let path = handle.path().join(CONTENT);
        Self { handle, path }
    }

    /// Returns the path of the file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the time when its fetch began, possibly in an earlier process.
    #[must_use]
    pub fn fetched_at(&self) -> SystemTime {
        self.handle.created()
    }

    /// Returns whether the input was cached, fetched for this caller, or being fetched for another.
    #[must_use]
    pub fn lookup(&self) -> LookupOutcome {
        self.handle.lookup()
    }

    /// Releases the input and removes it from the cache, because it is defective.
    pub fn poison(self) {
        self.handle.poison();
    }
}

impl fmt::Debug for FetchCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchCache")
            .field("folders", &self.folders)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CachedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedInput")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
