//! Runs the worker for a real deployment.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use runtime_client::checks::{ConnectionCheck, ConnectionChecks};
use runtime_client::{ClientSettings, TaskclusterDeployment};
use runtime_core::{CredentialsWatch, LifeCycleTracker, ShutdownManager, StopStage};
use runtime_dev_server::output;
use runtime_worker::ExitCause;
use runtime_worker::config::{ConfigDocument, ShutdownConfig};

use crate::account::{WorkerCredentials, static_credentials};
use crate::args::RunOptions;
use crate::assembly::{AssembledWorker, DeploymentInputs};
use crate::bootstrap::Bootstrap;
use crate::config::ConfigSource;
use crate::program::ProgramSpec;
use crate::progress::Progress;
use crate::signals::stop_on_signals;
use crate::{machine_check, print, sources};

/// The maximum duration of calls without a claim after a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Adds the layers and secrets that the stored credentials can read. Returns whether there are credentials.
async fn add_stored_layers(
    program: &ProgramSpec,
    document: &mut ConfigDocument,
    bootstrap: &Bootstrap,
) -> Result<Option<WorkerCredentials>> {
    // A person waits for the result, and can repeat the command.
    let mut settings = ClientSettings::default();
    settings.retry.budget = Duration::ZERO;
    settings.credentials_wait = Duration::ZERO;
    let root_url = bootstrap.identity().root_url;
    let deployment = TaskclusterDeployment::with_settings(&root_url, settings)?;
    let account = WorkerCredentials::stored(bootstrap, &deployment);
    if let Some(account) = &account {
        let client = deployment.client(account.credentials.clone());
        let layers = account.add_layers(document, (bootstrap, program.name), &client);
        layers.await?;
    }
    Ok(account)
}

/// Checks the configuration, the deployment and the credentials, and prints the results.
pub(crate) async fn check(program: &ProgramSpec, source: &ConfigSource) -> Result<()> {
    let mut document = source.document()?;
    let bootstrap = Bootstrap::read(&mut document, &*program.engine).await?;
    let identity = bootstrap.identity();
    let checks = ConnectionChecks::new(&identity.root_url)?;
    let mut results = checks.deployment().await;
    let is_reachable = results.iter().all(|it| it.failure().is_none());
    if is_reachable && bootstrap.needs_static_credentials() {
        let credentials = static_credentials(&bootstrap)?;
        let credentials = CredentialsWatch::fixed(Some(credentials));
        results.extend(checks.credentials(&credentials, &identity).await);
    }
    for result in &results {
        output::result(result)?;
    }
    let failures = results.iter().filter_map(ConnectionCheck::failure).count();
    ensure!(failures == 0, "the worker cannot claim: {failures} failed");
    let account = add_stored_layers(program, &mut document, &bootstrap).await?;
    if account.is_none() {
        output::result(
            "warning: the layers of the worker pool are unknown until the worker has credentials",
        )?;
    }
    let (config, engine) = program.engine.load(&document, source.web_hooks()?)?;
    let is_usable = machine_check::print_disk(&config.worker).await?;
    let (app, _folder) = print::idle_app(program, (config, engine)).await?;
    for line in app.worker.containment().await {
        output::result(line)?;
    }
    app.close().await;
    ensure!(is_usable, "the worker cannot use its data folder");
    Ok(())
}

/// Renders the effective configuration.
///
/// With `local`, or without credentials, the layers of the deployment are missing.
pub(crate) async fn print_config(
    program: &ProgramSpec,
    source: &ConfigSource,
    local: bool,
) -> Result<String> {
    let mut document = source.document()?;
    if !local {
        let bootstrap = Bootstrap::read(&mut document, &*program.engine).await?;
        let account = add_stored_layers(program, &mut document, &bootstrap).await;
        let account = account.context("print the file alone with --local")?;
        if account.is_none() {
            output::error_line("no credentials: the layers of the worker pool are not included");
        }
    }
    program.engine.print(&document, source.web_hooks()?)
}

/// Returns the result of `work`, or `None` if it takes longer than [`STOP_TIMEOUT`] after a stop.
///
/// Calls are retried for minutes, much longer than a stop may take. A registration in flight still has time to store
/// its secret, without which the worker could not register again.
async fn until_stopped<T>(
    stop: &LifeCycleTracker,
    stage: StopStage,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        result = work => Some(result),
        () = async {
            stop.wait_for_stage(stage).await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        } => None,
    }
}

/// Claims and runs tasks until the worker is stopped.
pub(crate) async fn run(
    program: &ProgramSpec,
    source: &ConfigSource,
    options: &RunOptions,
) -> Result<ExitCode> {
    let mut document = source.document()?;
    let bootstrap = Bootstrap::read(&mut document, &*program.engine).await?;
    let identity = bootstrap.identity();
    if bootstrap.needs_static_credentials() {
        // Missing credentials are reported before the deployment is contacted.
        static_credentials(&bootstrap)?;
    }
    let checks = ConnectionChecks::new(&identity.root_url)?;
    report(&checks.deployment().await)?;
    let deployment = TaskclusterDeployment::new(&identity.root_url)?;
    let (stop, cause) = (LifeCycleTracker::new(), ExitCause::default());
    // Before the registration, which must not be interrupted.
    let _signals = if bootstrap.has_shutdown_source(ShutdownConfig::Signals) {
        Some(stop_on_signals(stop.clone(), cause.clone())?)
    } else {
        None
    };
    let start = async {
        let account = WorkerCredentials::open(&bootstrap, &deployment).await?;
        report(&checks.credentials(&account.credentials, &identity).await)?;
        let client = deployment.client(account.credentials.clone());
        let layers = account.add_layers(&mut document, (&bootstrap, program.name), &client);
        layers.await?;
        anyhow::Ok((account, client))
    };
    let Some(started) = until_stopped(&stop, StopStage::Graceful, start).await else {
        output::error_line("stopped before the worker could claim");
        return Ok(ExitCode::from(cause.exit_code()));
    };
    let (account, client) = started?;
    let (mut config, engine) = program.engine.load(&document, source.web_hooks()?)?;
    let is_fixed =
        |source| config.has_shutdown_source(source) == bootstrap.has_shutdown_source(source);
    ensure!(
        is_fixed(ShutdownConfig::Signals) && is_fixed(ShutdownConfig::WorkerRunner),
        "`worker.shutdown`: only the configuration file can add or remove `signals` and `worker-runner`"
    );
    config.worker.max_tasks = options.max_tasks().or(config.worker.max_tasks);
    let config = &config;
    let progress = Progress::new(options.json || config.uses_worker_runner_output());
    let progress = Arc::new(progress.task_pages(&identity.root_url));
    let mut shutdown = sources::configured(config, &client)?;
    shutdown.extend(account.shutdown);
    let idle_stop = sources::idle_stop(config, &client).map(|(plugin, source)| {
        shutdown.push(Box::new(source));
        plugin
    });
    let inputs = DeploymentInputs {
        deployment,
        credentials: account.credentials,
        worker_runner: account.worker_runner,
        progress: Arc::clone(&progress),
        cause: cause.clone(),
        idle_stop,
        cancel_poll: None,
    };
    let app = AssembledWorker::build(program, (config, engine), inputs, &stop).await?;
    let manager = ShutdownManager::new(Arc::new(stop.clone()), app.monitor.clone());
    let watched = shutdown.into_iter().map(|source| cause.watch(source));
    let _listening = watched.fold(manager, ShutdownManager::boxed_source).start();
    #[cfg(unix)]
    let _systemd = crate::systemd::notify()?;
    progress.line(format_args!(
        "claiming from {} at {}",
        config.worker.task_queue_id, config.worker.root_url
    ));
    app.run(&stop).await;
    progress.line(app.metrics_summary());
    app.close().await;
    if bootstrap.machine.is_some() && cause.is_unneeded() {
        let worker = bootstrap.worker_name();
        let removed = until_stopped(&stop, StopStage::Now, client.remove_worker(&worker)).await;
        let removed = removed.context("stopped before a response")?;
        removed.context("cannot remove the machine from its worker pool, where it costs money")?;
    }
    Ok(ExitCode::from(cause.exit_code()))
}
