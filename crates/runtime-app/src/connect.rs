//! Runs the worker for a real deployment.

use std::sync::Arc;

use anyhow::{Result, ensure};
use runtime_client::TaskclusterDeployment;
use runtime_client::checks::{ConnectionCheck, ConnectionChecks};
use runtime_core::{CredentialsWatch, LifeCycleTracker, ShutdownManager};
use runtime_worker::config::ShutdownConfig;

use crate::assembly::{App, AppInputs};
use crate::config::Config;
use crate::output;
use crate::parts::EngineFactory;
use crate::program::Program;
use crate::progress::Progress;
use crate::signals::stop_on_signals;
use crate::sources::{Sources, static_credentials};

/// Prints warnings, and returns an error with all failures.
fn report(checks: &[ConnectionCheck]) -> Result<()> {
    let is_warning = |check: &&ConnectionCheck| matches!(check, ConnectionCheck::Warning(_));
    checks
        .iter()
        .filter(is_warning)
        .for_each(output::error_line);
    let failures = checks.iter().filter_map(ConnectionCheck::failure);
    let failures: Vec<_> = failures.map(ToString::to_string).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Returns whether the credentials are part of the configuration or of the environment. A worker that registers, or that
/// worker-runner starts, receives them.
fn needs_static_credentials(config: &Config) -> bool {
    config.worker.registration.is_none()
        && !config.has_shutdown_source(ShutdownConfig::WorkerRunner)
}

/// Checks the deployment and the configured credentials, and prints the results.
pub(crate) async fn check(config: &Config) -> Result<()> {
    let identity = config.worker.identity();
    let checks = ConnectionChecks::new(&identity.root_url)?;
    let mut results = checks.deployment().await;
    if needs_static_credentials(config) && results.iter().all(|it| it.failure().is_none()) {
        let credentials = CredentialsWatch::fixed(Some(static_credentials(config)?));
        results.extend(checks.credentials(&credentials, &identity).await);
    }
    for result in &results {
        output::result(result)?;
    }
    let failures = results.iter().filter_map(ConnectionCheck::failure).count();
    ensure!(failures == 0, "the worker cannot claim: {failures} failed");
    Ok(())
}

/// Claims and runs tasks until the worker is stopped.
pub(crate) async fn run(
    program: &Program,
    (config, engine): (Config, EngineFactory),
    json: bool,
) -> Result<()> {
    let config = &config;
    let progress = Progress::new(json || config.uses_worker_runner_output());
    let progress = Arc::new(progress.task_pages(&config.worker.identity().root_url));
    let stop = LifeCycleTracker::new();
    let _signals = if config.has_shutdown_source(ShutdownConfig::Signals) {
        Some(stop_on_signals(stop.clone())?)
    } else {
        None
    };
    let identity = config.worker.identity();
    if needs_static_credentials(config) {
        // Before the deployment is contacted: it does not help to know that it responds.
        static_credentials(config)?;
    }
    let checks = ConnectionChecks::new(&identity.root_url)?;
    report(&checks.deployment().await)?;
    let deployment = TaskclusterDeployment::new(&identity.root_url)?;
    let sources = Sources::open(config, &deployment).await?;
    report(&checks.credentials(&sources.credentials, &identity).await)?;
    let inputs = AppInputs {
        deployment,
        credentials: sources.credentials,
        worker_runner: sources.worker_runner,
        progress: Arc::clone(&progress),
        cancel_poll: None,
    };
    let app = App::build(program, (config, engine), inputs, &stop).await?;
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
