//! Making a folder.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use runtime_gc::{Reservation, ReserveError, ResourceTracker};
use serde::Serialize;

use super::disk;
use super::folder::{Folder, Place, Policy};
use super::record::Record;
use super::root::{Owned, Root};
use crate::inner::CacheKey;
use crate::{ConstructionContext, Constructor};

/// An empty folder to be filled. A clone is the same folder.
///
/// If the one who fills it fails, panics or is dropped, the folder is removed. It must not keep writing after that.
#[derive(Clone, Debug)]
pub struct NewFolder {
    path: PathBuf,
    build: ConstructionContext,
    tracker: ResourceTracker,
}

impl NewFolder {
    /// The folder. It stays at this path for as long as it is cached.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells everybody who waits how far it is, see [`ConstructionContext::progress`].
    pub fn progress(&self, done: u64, total: Option<u64>, activity: impl Into<String>) {
        self.build.progress(done, total, activity);
    }

    /// Makes room for so many bytes before they are written, see [`ResourceTracker::reserve`].
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the room cannot be made.
    ///
    /// # Cancel safety
    ///
    /// Nothing is reserved if the future is dropped. What was freed by then is freed.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.tracker.reserve(bytes).await
    }
}

/// Makes folders by a function that fills them.
pub(super) struct Fill<F> {
    pub(super) root: Arc<Root>,
    pub(super) policy: Arc<Policy>,
    pub(super) fill: Arc<F>,
}

impl<F> Clone for Fill<F> {
    fn clone(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            policy: Arc::clone(&self.policy),
            fill: Arc::clone(&self.fill),
        }
    }
}

#[async_trait]
impl<K, F, Fut, E> Constructor<K, Folder> for Fill<F>
where
    K: CacheKey + Serialize,
    F: Fn(NewFolder) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn construct(
        &self,
        key: K,
        build: ConstructionContext,
    ) -> Result<Folder, Box<dyn Error + Send + Sync>> {
        let (root, key) = (Arc::clone(&self.root), serde_json::to_value(&key)?);
        let record = Record::new(key, build.began());
        let begin = move || Unfinished::begin(root, record);
        let unfinished = tokio::task::spawn_blocking(begin).await??;
        let draft = NewFolder {
            path: unfinished.folder.clone(),
            build,
            tracker: self.root.tracker.clone(),
        };
        (self.fill)(draft).await.map_err(Into::into)?;
        let policy = Arc::clone(&self.policy);
        let finished = tokio::task::spawn_blocking(move || unfinished.finish(policy)).await?;
        Ok(finished?)
    }
}

/// A folder that is being made. Dropped before it is finished, it is removed.
struct Unfinished {
    root: Arc<Root>,
    folder: PathBuf,
    record: Record,
    /// Taken when it is finished.
    owned: Option<Owned>,
}

impl Unfinished {
    fn begin(root: Arc<Root>, record: Record) -> Result<Self, MakeError> {
        let owned = root.own_new();
        let (folder, lease) = (root.folder(&owned), root.in_leases(&owned));
        let unfinished = Self {
            root,
            folder,
            record,
            owned: Some(owned),
        };
        // The lease is there before the folder, so that whoever looks at the disk knows what the folder is for.
        let leased = unfinished.record.write(&lease);
        let made = leased.and_then(|()| disk::create_folder(&unfinished.folder));
        match made {
            Ok(()) => Ok(unfinished),
            Err(source) => Err(unfinished.error(source)),
        }
    }

    /// Writes down what it takes. It stays leased until the cache keeps it.
    fn finish(mut self, policy: Arc<Policy>) -> Result<Folder, MakeError> {
        self.record.measure(&self.folder);
        let owned = self.owned.take().expect("it is only taken here");
        match self.record.write(&self.root.in_leases(&owned)) {
            Ok(()) => {
                let (root, record) = (Arc::clone(&self.root), self.record.clone());
                Ok(Folder::new(root, owned, policy, (record, Place::Leases)))
            }
            Err(source) => {
                self.owned = Some(owned);
                Err(self.error(source))
            }
        }
    }

    fn error(&self, source: io::Error) -> MakeError {
        let folder = self.folder.clone();
        MakeError { folder, source }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(owned) = self.owned.take() {
            // What cannot be removed now is removed at the next start, since it has no record in the index.
            let _ = disk::remove_file(&self.root.in_leases(&owned));
            self.root.throw_away(owned, self.folder.clone());
        }
    }
}

/// The disk refused a new folder, or its record.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder `{}`", folder.display())]
struct MakeError {
    folder: PathBuf,
    source: io::Error,
}
