//! The parts from which engines and plugins are created.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use runtime_client::Client;
use runtime_core::Environment;
use runtime_worker::config::WorkerConfig;
use runtime_worker::{Engine, WorkerBuilder};

/// The parts of the worker that engines and plugins may need when they are created.
#[derive(Debug)]
#[non_exhaustive]
pub struct AppParts<'a> {
    /// The environment of the worker: storage, collector, web hooks, monitor and stop.
    pub environment: &'a Environment,
    /// The section `worker` of the configuration.
    pub config: &'a WorkerConfig,
    /// The client with the credentials of the worker.
    pub client: &'a Client,
    /// The configuration file. `None` for a worker that is configured by its command line.
    pub config_file: Option<&'a Path>,
}

/// Creates the engine from its section of the configuration.
pub(crate) type EngineFactory = Box<dyn FnOnce(&AppParts<'_>) -> Result<Arc<dyn Engine>> + Send>;

/// Adds a plugin.
pub(crate) type AddPlugin =
    Box<dyn Fn(WorkerBuilder, &AppParts<'_>) -> WorkerBuilder + Send + Sync>;
