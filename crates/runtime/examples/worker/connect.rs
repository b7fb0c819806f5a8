//! Runs the worker for a real deployment.

use std::sync::Arc;

use anyhow::Result;
use runtime::client::TaskclusterDeployment;
use runtime::worker::config::ShutdownConfig;
use runtime::{LifeCycleTracker, ShutdownManager};

use crate::app::{App, AppInputs};
use crate::config::Config;
use crate::progress::Progress;
use crate::signals::stop_on_signals;
use crate::sources::Sources;

/// Claims and runs tasks until the worker is stopped.
pub(crate) async fn run(config: &Config, json: bool) -> Result<()> {
    let progress = Arc::new(Progress::new(json || config.uses_worker_runner_output()));
    let stop = LifeCycleTracker::new();
    let _signals = if config.has_shutdown_source(ShutdownConfig::Signals) {
        Some(stop_on_signals(stop.clone())?)
    } else {
        None
    };
    let deployment = TaskclusterDeployment::new(&config.worker.identity().root_url)?;
    let sources = Sources::open(config, &deployment).await?;
    let inputs = AppInputs {
        deployment,
        credentials: sources.credentials,
        worker_runner: sources.worker_runner,
        progress: Arc::clone(&progress),
        cancel_poll: None,
    };
    let app = App::build(config, inputs, &stop).await?;
    let manager = ShutdownManager::new(Arc::new(stop.clone()), app.monitor.clone());
    let shutdown_sources = sources.shutdown.into_iter();
    let _listening = shutdown_sources
        .fold(manager, ShutdownManager::boxed_source)
        .start();
    progress.line(format_args!(
        "claiming from {} at {}",
        config.worker.task_queue_id, config.worker.root_url
    ));
    app.run(&stop).await;
    progress.line(app.metrics_summary());
    app.close().await;
    Ok(())
}
