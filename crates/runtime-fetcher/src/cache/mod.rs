//! Inputs that are fetched once for all tasks of a worker, and for the next worker.

mod builder;
mod error;
mod fingerprint;
mod input;
mod progress;
mod room;

pub use builder::FetchCacheBuilder;
pub use error::FetchCacheError;
pub use input::{CachedInput, InputLayout};

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use runtime_caching::{FolderCache, FolderHandle, Lookup, NewFolder};
use tokio::sync::OnceCell;

use crate::{FetchContext, FetchError, Reference};
use fingerprint::Record;
use input::{CONTENT, InputKey};
use progress::{Forwarded, Relay};
use room::Reserving;

/// A cache of inputs on disk. A clone is cheap and is the same cache.
///
/// An input is fetched once, however many tasks want it at a time, and is shared by all of them. The next
/// process finds it again. The collector removes inputs that nobody uses when room is needed, and makes
/// room for an input before it comes.
///
/// Whoever wants an input must have the scopes that its reference [demands](Reference::scopes), also when
/// somebody else has fetched it. Copies are shared by [`hash_key`](Reference::hash_key), so what is the same
/// is decided by the reference.
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
    folders: FolderCache<InputKey>,
    shared: Arc<Shared>,
}

/// What fetches need that may outlast the one who asked first.
struct Shared {
    #[cfg(feature = "unpack")]
    limits: crate::UnpackLimits,
    verifies: bool,
    /// By folder: inputs of earlier processes that nobody has looked at yet, and those that have changed.
    unverified: Mutex<HashMap<PathBuf, Arc<OnceCell<bool>>>>,
}

type Filling = Pin<Box<dyn Future<Output = Result<(), FetchError>> + Send>>;

impl FetchCache {
    /// A cache below `root`, which is made if needed, to be [opened](FetchCacheBuilder::open).
    pub fn builder(root: impl Into<PathBuf>) -> FetchCacheBuilder {
        FetchCacheBuilder::new(root.into())
    }

    /// Gives an input, which is fetched first if it is not there.
    ///
    /// All who want it meanwhile wait for the same fetch, with the credentials of the first, and each of
    /// them hears of its progress. It goes on as long as one of them waits. If those credentials are refused,
    /// as when the task that they are from has ended, the others fetch it with theirs.
    ///
    /// # Errors
    ///
    /// [`FetchCacheError::Scopes`] if the user of the context may not have it, else
    /// [`FetchCacheError::Fetch`], which all who wait get. It is not kept.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: the fetch goes on for the others who wait, and ends without a trace when there are none.
    pub async fn require(
        &self,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        form: InputLayout,
    ) -> Result<CachedInput, FetchCacheError> {
        let (subject, required) = (reference.subject(), reference.scopes());
        if !required.satisfied_by(context.scopes()) {
            return Err(FetchCacheError::Scopes { subject, required });
        }
        let key = InputKey::new(reference.hash_key(), form);
        loop {
            let handle = self.folder(context, reference, &key, &subject).await?;
            if self.is_as_fetched(&handle).await {
                return Ok(CachedInput::new(handle));
            }
            tracing::warn!(%subject, "the cached copy has changed since it was fetched; fetching it again");
            handle.poison();
        }
    }

    /// Forgets what was fetched before then, and removes it once it is idle. Returns how many inputs that are.
    pub fn purge_before(&self, fetched_before: SystemTime) -> usize {
        self.folders.purge(|input| input.created < fetched_before)
    }

    /// How many inputs there are, with those that are being fetched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    async fn folder(
        &self,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        key: &InputKey,
        subject: &str,
    ) -> Result<FolderHandle<InputKey>, FetchCacheError> {
        let is_mine = Arc::new(AtomicBool::new(false));
        let mut relay = Relay::new(subject, context);
        loop {
            let fill = self.filling(context, reference, key.form, &is_mine);
            let required = self
                .folders
                .require_with(key, fill, |step| relay.step(step));
            let source = match required.await {
                Ok(handle) => {
                    relay.finish();
                    return Ok(handle);
                }
                Err(source) => source,
            };
            // The credentials were those of another task, which may have ended meanwhile.
            let refused = matches!(source.cause(), Some(FetchError::Worker { .. }));
            if !refused || is_mine.load(Ordering::Relaxed) {
                let subject = subject.to_owned();
                return Err(FetchCacheError::Fetch { subject, source });
            }
        }
    }

    /// What fetches the input into a folder, for whoever waits for it, and tells that it was begun.
    fn filling(
        &self,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        form: InputLayout,
        begun: &Arc<AtomicBool>,
    ) -> impl Fn(NewFolder) -> Filling + Send + Sync + 'static + use<> {
        let (context, reference) = (context.clone(), Arc::clone(reference));
        let (shared, begun) = (Arc::clone(&self.shared), Arc::clone(begun));
        move |draft| {
            begun.store(true, Ordering::Relaxed);
            let (reference, shared) = (Arc::clone(&reference), Arc::clone(&shared));
            let forwarded = Forwarded::new(draft.clone(), context.listener());
            let context = context.clone().with_listener(forwarded);
            Box::pin(async move { shared.fill(&draft, &context, &*reference, form).await })
        }
    }

    /// Looks once at each input of an earlier process, if that is wanted.
    async fn is_as_fetched(&self, handle: &FolderHandle<InputKey>) -> bool {
        if handle.lookup() != Lookup::Hit {
            return true;
        }
        let folder = handle.path().to_owned();
        let Some(verdict) = self.shared.unverified().get(&folder).cloned() else {
            return true;
        };
        let look = || {
            let folder = folder.clone();
            let look = tokio::task::spawn_blocking(move || Record::is_true_of(&folder));
            async { look.await.unwrap_or(false) }
        };
        let is_as_fetched = *verdict.get_or_init(look).await;
        // A bad verdict stays, for those who have got the same copy and ask later. Its path never means another.
        if is_as_fetched {
            self.shared.unverified().remove(&folder);
        }
        is_as_fetched
    }
}

impl Shared {
    fn unverified(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<OnceCell<bool>>>> {
        self.unverified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn fill(
        &self,
        draft: &NewFolder,
        context: &FetchContext,
        reference: &dyn Reference,
        form: InputLayout,
    ) -> Result<(), FetchError> {
        let content = draft.path().join(CONTENT);
        match form {
            InputLayout::File => {
                let target = crate::FileTarget::new(content);
                let mut target = Reserving::new(target, draft);
                reference.fetch(context, &mut target).await?;
            }
            #[cfg(feature = "unpack")]
            InputLayout::Directory(format) => {
                let mut target =
                    crate::DirectoryTarget::new(content).with_limits(self.limits.clone());
                if let Some(format) = format {
                    target = target.with_format(format);
                }
                let mut target = Reserving::new(target, draft);
                reference.fetch(context, &mut target).await?;
            }
        }
        if !self.verifies {
            return Ok(());
        }
        let recorded = Record::write(draft.path().to_owned()).await;
        recorded.map_err(|source| FetchError::Target {
            subject: reference.subject(),
            source,
        })
    }
}

impl fmt::Debug for FetchCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchCache")
            .field("folders", &self.folders)
            .finish_non_exhaustive()
    }
}
