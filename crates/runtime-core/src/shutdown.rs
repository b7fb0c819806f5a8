//! Sources of shutdown notices, and the manager that stops the worker.
//!
//! A [`ShutdownSource`] watches one cause of shutdowns: a signal, a spot termination notice, the worker
//! manager. The [`ShutdownManager`] listens to any number of sources and stops the worker. Sources that
//! poll over HTTP are in `runtime-client`; those of the process (signals, standard input) are in
//! `runtime-worker`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::lifecycle::{StopStage, Stoppable, request_stop};
use crate::monitor::Monitor;

/// A notice that the worker must shut down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownNotice {
    /// The urgency. [`StopStage::Running`] announces a deadline and does not stop the worker.
    pub stage: StopStage,
    /// The time until the machine disappears, if known.
    pub budget: Option<Duration>,
    /// The reason, shown to the operator.
    pub reason: String,
}

impl ShutdownNotice {
    /// Creates a notice that lets running tasks finish.
    pub fn graceful(reason: impl Into<String>) -> Self {
        Self {
            stage: StopStage::Graceful,
            budget: None,
            reason: reason.into(),
        }
    }

    /// Creates a notice that stops running tasks.
    pub fn now(reason: impl Into<String>) -> Self {
        Self {
            stage: StopStage::Now,
            budget: None,
            reason: reason.into(),
        }
    }

    /// Sets the time until the machine disappears.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl fmt::Display for ShutdownNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.stage {
            StopStage::Running => "not stopping",
            StopStage::Graceful => "stopping after the running tasks",
            StopStage::Now => "stopping now",
        };
        write!(f, "{how}: {}", self.reason)?;
        match self.budget {
            Some(budget) => write!(f, " ({} s left)", budget.as_secs()),
            None => Ok(()),
        }
    }
}

/// A source of shutdown notices.
#[async_trait]
pub trait ShutdownSource: Send + fmt::Debug {
    /// Returns a short name for logs, such as `aws-spot`.
    fn name(&self) -> &'static str;

    /// Waits for the next notice; `None` ends the source.
    ///
    /// If the cause cannot be observed for a while, such as during a network outage, keep retrying: an
    /// outage must neither stop the worker nor end the source. A panic is reported, and ends the source.
    ///
    /// # Cancel safety
    ///
    /// Safe: a notice not returned by a dropped future is returned by the next call if it still applies.
    async fn next(&mut self) -> Option<ShutdownNotice>;
}

/// Stops a worker when a source reports a notice. Later notices can make the stop more urgent.
///
/// Start the manager before the first claim, so that a pending notice prevents claims.
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
///         first.then(|| ShutdownNotice::graceful("the office closes"))
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
/// drop(listening); // Stops listening.
/// # }
/// ```
#[derive(Debug)]
pub struct ShutdownManager {
    stop: Arc<dyn Stoppable>,
    monitor: Monitor,
    sources: Vec<Box<dyn ShutdownSource>>,
}

impl ShutdownManager {
    /// Creates a manager that stops `stop` and logs the reason to `monitor`.
    #[must_use]
    pub fn new(stop: Arc<dyn Stoppable>, monitor: Monitor) -> Self {
        Self {
            stop,
            monitor,
            sources: Vec::new(),
        }
    }

    /// Adds a source.
    #[must_use]
    pub fn source(self, source: impl ShutdownSource + 'static) -> Self {
        self.boxed_source(Box::new(source))
    }

    /// Adds a boxed source, such as one chosen by configuration.
    #[must_use]
    pub fn boxed_source(mut self, source: Box<dyn ShutdownSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// Starts listening to all sources until the returned value is dropped. Requires a tokio runtime.
    #[must_use = "dropping it stops listening"]
    pub fn start(self) -> ShutdownListener {
        let listening = self
            .sources
            .into_iter()
            .map(|source| listen(source, Arc::clone(&self.stop), self.monitor.clone()));
        ShutdownListener {
            _tasks: listening.collect(),
        }
    }
}

async fn listen(mut source: Box<dyn ShutdownSource>, stop: Arc<dyn Stoppable>, monitor: Monitor) {
    let name = source.name();
    // Listens on after a notice: a spot termination may follow a graceful stop. A source that panics has an undefined
    // state, and is not asked again.
    while let Ok(Some(notice)) = monitor.capture_panic_async(name, source.next()).await {
        monitor.warn(format_args!("{name}: {notice}"));
        request_stop(&*stop, notice.stage, notice.budget);
    }
}

/// A running [`ShutdownManager`]; dropping it stops listening.
#[derive(Debug)]
pub struct ShutdownListener {
    _tasks: JoinSet<()>,
}
