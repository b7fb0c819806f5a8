//! Making what is not there yet.

use std::error::Error;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::sys::watch;

/// Makes resources for keys.
///
/// Functions `Fn(K, ConstructionContext) -> impl Future<Output = Result<R, E>>` are constructors.
#[async_trait]
pub trait Constructor<K, R>: Send + Sync + 'static {
    /// Makes the resource for a key.
    ///
    /// The error is given to everybody who waits, and the next who asks tries again.
    /// A panic is an error too.
    ///
    /// # Errors
    ///
    /// Whatever there is to say.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when nobody waits for it any more, and must clean up then.
    async fn construct(
        &self,
        key: K,
        build: ConstructionContext,
    ) -> Result<R, Box<dyn Error + Send + Sync>>;
}

#[async_trait]
impl<K, R, F, Fut, E> Constructor<K, R> for F
where
    K: Send + 'static,
    R: 'static,
    F: Fn(K, ConstructionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn construct(
        &self,
        key: K,
        build: ConstructionContext,
    ) -> Result<R, Box<dyn Error + Send + Sync>> {
        self(key, build).await.map_err(Into::into)
    }
}

/// How far a construction is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConstructionProgress {
    /// How much is done, in whatever unit.
    pub done: u64,
    /// How much there is to do, if that is known.
    pub total: Option<u64>,
    /// What is being done.
    pub activity: String,
}

/// A construction, as its constructor sees it. A clone is the same.
#[derive(Clone, Debug)]
pub struct ConstructionContext {
    began: SystemTime,
    progress: watch::Sender<ConstructionProgress>,
}

impl ConstructionContext {
    pub(crate) fn new() -> Self {
        Self {
            began: SystemTime::now(),
            progress: watch::Sender::default(),
        }
    }

    pub(crate) fn listen(&self) -> watch::Receiver<ConstructionProgress> {
        self.progress.subscribe()
    }

    /// When the construction began, which is when its resource counts as created.
    #[must_use]
    pub fn began(&self) -> SystemTime {
        self.began
    }

    /// Tells everybody who waits how far it is.
    ///
    /// It never waits: who listens too slowly misses the steps in between, and gets the newest.
    pub fn progress(&self, done: u64, total: Option<u64>, activity: impl Into<String>) {
        let activity = activity.into();
        self.progress.send_replace(ConstructionProgress {
            done,
            total,
            activity,
        });
    }
}
