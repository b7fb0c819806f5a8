//! Constructors, which create the resources of a cache.

use std::time::SystemTime;

use async_trait::async_trait;
use runtime_core::BoxError;

use crate::sys::watch;

/// Creates resources for keys.
///
/// Implemented for functions `Fn(K, ConstructionContext) -> impl Future<Output = Result<R, E>>`.
#[async_trait]
pub trait Constructor<K, R>: Send + Sync + 'static {
    /// Creates the resource for a key.
    ///
    /// The error is returned to all waiters, and the next request constructs the resource again. A panic is
    /// also returned as an error.
    ///
    /// # Errors
    ///
    /// Any error.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when its last waiter is dropped. It must clean up on drop.
    async fn construct(&self, key: K, context: ConstructionContext) -> Result<R, BoxError>;
}

#[async_trait]
impl<K, R, F, Fut, E> Constructor<K, R> for F
where
    K: Send + 'static,
    R: 'static,
    F: Fn(K, ConstructionContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send,
    E: Into<BoxError>,
{
    async fn construct(&self, key: K, context: ConstructionContext) -> Result<R, BoxError> {
        self(key, context).await.map_err(Into::into)
    }
}

/// The progress of a construction.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConstructionProgress {
    /// The amount of work done, in any unit.
    pub done: u64,
    /// The total amount of work, if it is known.
    pub total: Option<u64>,
    /// The current activity, for people.
    pub activity: String,
}

/// The context of a construction. A clone refers to the same construction.
#[derive(Clone, Debug)]
pub struct ConstructionContext {
    created: SystemTime,
    progress: watch::Sender<ConstructionProgress>,
}

impl ConstructionContext {
    pub(crate) fn new() -> Self {
        Self {
            created: SystemTime::now(),
            progress: watch::Sender::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<ConstructionProgress> {
        self.progress.subscribe()
    }

    /// Returns the start of the construction, which is the time of creation of its resource.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// Reports progress to all waiters.
    ///
    /// Never blocks: a slow waiter receives only the newest step.
    pub fn progress(&self, done: u64, total: Option<u64>, activity: impl Into<String>) {
        let activity = activity.into();
        // Unlike `send`, this stores the step even if there are no receivers at the moment.
        self.progress.send_replace(ConstructionProgress {
            done,
            total,
            activity,
        });
    }
}
