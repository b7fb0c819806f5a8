//! Who knows that a worker must go, and how it is told.
//!
//! A [`ShutdownSource`] knows of one thing that ends a worker: a signal, a spot notice, the worker
//! manager. The [`ShutdownManager`] listens to any number of them and stops the worker. This crate opens
//! no socket, so sources that ask over HTTP are in `runtime-client`, and those that need the process
//! (signals, standard input) in `runtime-worker`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::{Monitor, StopStage, Stoppable};

/// That a worker must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownNotice {
    /// Whether running tasks may finish.
    pub stage: StopStage,
    /// After which time the machine goes away, if the source knows.
    pub budget: Option<Duration>,
    /// Why, for the operator.
    pub reason: String,
}

impl ShutdownNotice {
    /// Lets running tasks finish.
    pub fn graceful(reason: impl Into<String>) -> Self {
        Self {
            stage: StopStage::Graceful,
            budget: None,
            reason: reason.into(),
        }
    }

    /// Stops running tasks.
    pub fn now(reason: impl Into<String>) -> Self {
        Self {
            stage: StopStage::Now,
            budget: None,
            reason: reason.into(),
        }
    }

    /// Adds how much time is left.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl fmt::Display for ShutdownNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.stage {
            StopStage::Running => "going on",
            StopStage::Graceful => "stopping when the running tasks are done",
            StopStage::Now => "stopping now",
        };
        write!(f, "{how}: {}", self.reason)?;
        match self.budget {
            Some(budget) => write!(f, " ({} s left)", budget.as_secs()),
            None => Ok(()),
        }
    }
}

/// Something that knows when a worker must go.
#[async_trait]
pub trait ShutdownSource: Send + fmt::Debug {
    /// A short name for logs, such as `aws-spot`.
    fn name(&self) -> &'static str;

    /// Waits for the next notice; `None` if none can come any more.
    ///
    /// A source that cannot be asked at the moment keeps trying: it must not make a worker stop, nor
    /// give up, because a server was away.
    ///
    /// # Cancel safety
    ///
    /// Safe: a notice that no call returned is found again by the next, if it still stands.
    async fn next(&mut self) -> Option<ShutdownNotice>;
}

/// Stops a worker when any of its sources says so.
///
/// Start it before the first claim, so that a notice that is already there is not missed.
///
/// ```
/// # use async_trait::async_trait;
/// # use std::sync::Arc;
/// # use runtime_core::*;
/// #[derive(Debug)]
/// struct Closed(bool);
///
/// #[async_trait]
/// impl ShutdownSource for Closed {
///     fn name(&self) -> &'static str {
///         "closing-time"
///     }
///
///     async fn next(&mut self) -> Option<ShutdownNotice> {
///         let first = !std::mem::replace(&mut self.0, true);
///         first.then(|| ShutdownNotice::graceful("the shop closes"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let worker = LifeCycleTracker::new();
/// let listening = ShutdownManager::new(Arc::new(worker.clone()), Monitor::null())
///     .source(Closed(false))
///     .start();
/// worker.wait_for_stage(StopStage::Graceful).await;
/// drop(listening); // Dropping ends the listening.
/// # }
/// ```
#[derive(Debug)]
pub struct ShutdownManager {
    worker: Arc<dyn Stoppable>,
    monitor: Monitor,
    sources: Vec<Box<dyn ShutdownSource>>,
}

impl ShutdownManager {
    /// Makes a manager that stops `worker` and tells `monitor` why.
    #[must_use]
    pub fn new(worker: Arc<dyn Stoppable>, monitor: Monitor) -> Self {
        Self {
            worker,
            monitor,
            sources: Vec::new(),
        }
    }

    /// Adds a source.
    #[must_use]
    pub fn source(self, source: impl ShutdownSource + 'static) -> Self {
        self.boxed_source(Box::new(source))
    }

    /// Adds a source whose type is known only when the worker runs.
    #[must_use]
    pub fn boxed_source(mut self, source: Box<dyn ShutdownSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// Listens to all sources until the returned value is dropped. Must be called within a tokio runtime.
    #[must_use = "dropping it ends the listening"]
    pub fn start(self) -> ShutdownListener {
        let listening = self
            .sources
            .into_iter()
            .map(|source| listen(source, Arc::clone(&self.worker), self.monitor.clone()));
        ShutdownListener {
            _tasks: listening.collect(),
        }
    }
}

async fn listen(mut source: Box<dyn ShutdownSource>, worker: Arc<dyn Stoppable>, monitor: Monitor) {
    while let Some(notice) = source.next().await {
        monitor.warn(format_args!("{}: {notice}", source.name()));
        match (notice.stage, notice.budget) {
            (stage, Some(budget)) => worker.stop_within(stage, budget),
            (StopStage::Running, None) => {}
            (StopStage::Graceful, None) => worker.stop_gracefully(),
            (StopStage::Now, None) => worker.stop_now(),
        }
    }
}

/// Listens to shutdown sources until it is dropped.
#[derive(Debug)]
pub struct ShutdownListener {
    _tasks: JoinSet<()>,
}
