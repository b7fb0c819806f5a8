//! The environment that a worker provides to engines and plugins.

use std::sync::Arc;

use runtime_gc::{GarbageCollector, GcConfig, HostStats, ResourceTracker};

use crate::clock::{Clock, SystemClock};
use crate::id::WorkerIdentity;
use crate::lifecycle::{LifeCycleTracker, Stoppable};
use crate::monitor::Monitor;
use crate::storage::TemporaryStorage;
use crate::webhook::{NoWebHookServer, WebHookServer};

/// The services that a worker shares with engines and plugins. A clone allocates nothing.
///
/// ```
/// # use runtime_core::{Environment, LifeCycleTracker, TemporaryStorage, WorkerIdentity};
/// # fn environment(root: &std::path::Path) -> Result<Environment, Box<dyn std::error::Error>> {
/// let identity = WorkerIdentity {
///     root_url: "https://tc.example.com".into(),
///     task_queue_id: "my-project/linux".into(),
///     worker_group: "eu-west".into(),
///     worker_id: "worker-1".into(),
/// };
/// let stop = LifeCycleTracker::new();
/// let environment = Environment::builder(identity, TemporaryStorage::open(root)?)
///     .stop(stop.clone())
///     .build();
/// # Ok(environment)
/// # }
/// # environment(tempfile::tempdir()?.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Environment {
    /// Registers resources that the garbage collector may dispose of.
    pub resource_tracker: ResourceTracker,
    /// Creates temporary files and folders.
    pub storage: TemporaryStorage,
    /// Assigns URLs to handlers of running tasks.
    pub web_hooks: Arc<dyn WebHookServer>,
    /// Receives logs, metrics and error reports.
    pub monitor: Monitor,
    /// Stops the worker.
    pub stop: Arc<dyn Stoppable>,
    /// The identity of the worker in its deployment.
    pub identity: Arc<WorkerIdentity>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

impl Environment {
    /// Creates a builder. Everything except its arguments has a default.
    pub fn builder(identity: WorkerIdentity, storage: TemporaryStorage) -> EnvironmentBuilder {
        EnvironmentBuilder {
            identity,
            storage,
            resource_tracker: None,
            web_hooks: Arc::new(NoWebHookServer),
            monitor: Monitor::null(),
            stop: Arc::new(LifeCycleTracker::new()),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// Builds an [`Environment`].
#[derive(Debug)]
#[must_use]
pub struct EnvironmentBuilder {
    identity: WorkerIdentity,
    storage: TemporaryStorage,
    resource_tracker: Option<ResourceTracker>,
    web_hooks: Arc<dyn WebHookServer>,
    monitor: Monitor,
    stop: Arc<dyn Stoppable>,
    clock: Arc<dyn Clock>,
}

impl EnvironmentBuilder {
    /// Sets the tracker of the garbage collector. Default: that of a collector without limits, which
    /// disposes of nothing.
    pub fn resource_tracker(mut self, tracker: ResourceTracker) -> Self {
        self.resource_tracker = Some(tracker);
        self
    }

    /// Sets the web hook server. Default: none, so that attaching a hook fails.
    pub fn web_hooks(mut self, server: impl WebHookServer + 'static) -> Self {
        self.web_hooks = Arc::new(server);
        self
    }

    /// Sets a shared web hook server, such as one chosen by configuration.
    pub fn shared_web_hooks(mut self, server: Arc<dyn WebHookServer>) -> Self {
        self.web_hooks = server;
        self
    }

    /// Sets the monitor. Default: one that discards everything.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }

    /// Sets the handle that stops the worker. Default: a new [`LifeCycleTracker`].
    pub fn stop(mut self, stop: impl Stoppable + 'static) -> Self {
        self.stop = Arc::new(stop);
        self
    }

    /// Sets the wall clock. Default: that of the system.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Creates the environment.
    #[must_use]
    pub fn build(self) -> Environment {
        let resource_tracker = self.resource_tracker.unwrap_or_else(|| {
            let stats = HostStats::new(self.storage.path());
            GarbageCollector::new(GcConfig::default(), stats).tracker()
        });
        Environment {
            resource_tracker,
            storage: self.storage,
            web_hooks: self.web_hooks,
            monitor: self.monitor,
            stop: self.stop,
            identity: Arc::new(self.identity),
            clock: self.clock,
        }
    }
}
