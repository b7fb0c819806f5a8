//! What a worker hands to every engine and plugin.

use std::sync::Arc;

use runtime_gc::ResourceTracker;

use crate::clock::Clock;
use crate::lifecycle::Stoppable;
use crate::webhook::WebHookServer;
use crate::{Monitor, TemporaryStorage, WorkerIdentity};

/// The surroundings of engines and plugins. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Where disposable resources are registered, so that they can be freed.
    pub resource_tracker: ResourceTracker,
    /// Where temporary files and folders go.
    pub storage: TemporaryStorage,
    /// What gives a running task a URL.
    pub web_hooks: Arc<dyn WebHookServer>,
    /// What everything is told to.
    pub monitor: Monitor,
    /// Stops the worker.
    pub stop: Arc<dyn Stoppable>,
    /// The names of the worker.
    pub identity: WorkerIdentity,
    /// Time.
    pub clock: Arc<dyn Clock>,
}
