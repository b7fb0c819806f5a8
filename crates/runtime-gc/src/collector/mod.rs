//! The collector, which the worker owns.

mod background;
mod decide;
mod dispose;
mod promise;
mod run;

pub use background::BackgroundCollector;
pub(crate) use dispose::Outcome;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::config::GcConfig;
use crate::explain::{self, CollectionPlan};
use crate::shared::Shared;
use crate::{CollectionReport, Reservation, ReserveError, ResourceTracker, Rule, SystemStats};

/// Disposes of idle resources when a limit is passed.
///
/// It does nothing by itself: call [`collect`](Self::collect), or [`start`](Self::start) the background
/// task. A clone is the same collector. When the last one is dropped, disposals that run are cut off, and
/// all resources are forgotten.
///
/// Any number of collections may run at a time. None frees what another is freeing already.
#[derive(Clone)]
pub struct GarbageCollector {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    shared: Arc<Shared>,
    pressure: Box<dyn SystemStats>,
    listener: Option<Listener>,
    /// One decision at a time, so that no two choose for the same need. Held for moments, never across an await.
    deciding: Mutex<()>,
    /// What the last report complained about, so that the same is not logged again and again.
    complaints: Mutex<Vec<Rule>>,
    /// Disposals go on when the collection that began them is dropped.
    disposals: Mutex<JoinSet<()>>,
}

type Listener = Box<dyn Fn(&CollectionReport) + Send + Sync>;

impl GarbageCollector {
    /// A collector with these limits, which reads from `pressure` how much is left.
    pub fn new(config: GcConfig, pressure: impl SystemStats) -> Self {
        Self::build(config, Box::new(pressure), None)
    }

    /// The same, which gives each report that has news to `listener`.
    ///
    /// News is what was freed or could not be, and a limit that begins or ceases to be passed or skipped. A
    /// disk that stays full is told once, however often the collector looks.
    ///
    /// The listener runs on the task that collects and should return soon.
    pub fn with_listener(
        config: GcConfig,
        pressure: impl SystemStats,
        listener: impl Fn(&CollectionReport) + Send + Sync + 'static,
    ) -> Self {
        Self::build(config, Box::new(pressure), Some(Box::new(listener)))
    }

    fn build(config: GcConfig, pressure: Box<dyn SystemStats>, listener: Option<Listener>) -> Self {
        let inner = Inner {
            shared: Arc::new(Shared::new(config)),
            pressure,
            listener,
            deciding: Mutex::default(),
            complaints: Mutex::default(),
            disposals: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What engines, plugins and caches get to see.
    #[must_use]
    pub fn tracker(&self) -> ResourceTracker {
        ResourceTracker {
            shared: Arc::clone(&self.inner.shared),
            collector: Arc::downgrade(&self.inner),
        }
    }

    /// Disposes of what is needed to keep the limits, and of what was discarded.
    ///
    /// It ends when every limit is kept, or nothing more can be done. It goes on after a failure.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is something to dispose of.
    ///
    /// # Cancel safety
    ///
    /// Disposals that were begun go on; their outcome is not reported, but failures are tried again.
    pub async fn collect(&self) -> CollectionReport {
        self.inner.collect().await
    }

    /// Disposes of everything that is idle, whatever the limits say. For tests, and before a worker ends.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is something to dispose of.
    ///
    /// # Cancel safety
    ///
    /// As [`collect`](Self::collect).
    pub async fn collect_all(&self) -> CollectionReport {
        self.inner.collect_all().await
    }

    /// Makes room for so many bytes on disk before they are written, or says what is in the way.
    ///
    /// The floors hold on top of what is reserved. What could not be had even if all went that is idle is
    /// refused at once, and nothing goes for it. If the disk cannot be read, or this platform does not
    /// tell, the room is granted.
    ///
    /// # Errors
    ///
    /// A [`ReserveError`] if the room cannot be made.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there is something to dispose of.
    ///
    /// # Cancel safety
    ///
    /// Nothing is reserved if the future is dropped. What was freed by then is freed.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, ReserveError> {
        self.inner.reserve(bytes).await
    }

    /// What would go if a collection began now, in which order, and why; and what would stay.
    ///
    /// It takes time in proportion to the number of resources, and holds up nobody.
    #[must_use]
    pub fn explain(&self) -> CollectionPlan {
        explain::explain(&self.inner.shared, &*self.inner.pressure)
    }

    /// Collects in the background: when triggered, when a failed disposal is to be tried again, and at an interval.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the background task ends when this is dropped"]
    pub fn start(&self) -> BackgroundCollector {
        BackgroundCollector::start(Arc::clone(&self.inner))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody disposes of them any more, and many a resource holds a tracker.
        let entries = self.shared.registry().clear();
        entries.iter().for_each(|entry| entry.resource.untie());
    }
}

impl fmt::Debug for GarbageCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GarbageCollector")
            .field("config", &self.shared.config)
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}
