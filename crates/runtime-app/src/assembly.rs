//! The assembly of the worker and its services, as configured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use runtime_client::TaskclusterDeployment;
use runtime_core::{
    CredentialsWatch, Environment, LifeCycleTracker, Monitor, Secret, StopStage, TaskContext,
    TemporaryStorage,
};
use runtime_fetcher::HttpClient;
use runtime_gc::{BackgroundCollector, GarbageCollector, HostStats, ResourceTracker};
use runtime_monitoring::status::TaskOverview;
use runtime_monitoring::{
    CredentialRedaction, LineFormat, LogBuilder, LogFormat, LogHandle, Metrics, MonitoringParts,
    TelemetryExporters, from_config, redact_credentials,
};
use runtime_webhook::{ConfiguredServer, LiveLog};
use runtime_worker::admission::CollectorAdmission;
use runtime_worker::config::PluginsConfig;
use runtime_worker::gc_metrics::record_gc_metrics;
use runtime_worker::observer::Observer;
use runtime_worker::plugins::{
    Artifacts, ExitStatus, IdleStop, Mounts, ResourceUsage, TaskEnvVars, TaskLog, TaskclusterProxy,
};
use runtime_worker::worker_runner::WorkerRunner;
use runtime_worker::{Engine, ExitCause, Plugin, Worker, WorkerBuilder};

use crate::config::Config;
use crate::hooks;
use crate::parts::{AppParts, EngineFactory};
use crate::program::ProgramSpec;
use crate::progress::Progress;
use crate::status::{Status, StatusObserver};

/// The time limit at the end for readers to receive the rest of a live log, and for error reports to be delivered.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The inputs that depend on the deployment.
pub(crate) struct DeploymentInputs {
    pub(crate) deployment: TaskclusterDeployment,
    pub(crate) credentials: CredentialsWatch,
    pub(crate) progress: Arc<Progress>,
    pub(crate) worker_runner: Option<WorkerRunner>,
    /// Records the reason why the worker stops.
    pub(crate) cause: ExitCause,
    /// Watches for idle time.
    pub(crate) idle_stop: Option<IdleStop>,
    /// Overrides the configured interval.
    pub(crate) cancel_poll: Option<Duration>,
}

/// A worker, and the services that must exist as long as the worker.
pub(crate) struct AssembledWorker {
    pub(crate) worker: Worker,
    pub(crate) monitor: Monitor,
    metrics: Metrics,
    hooks: Arc<ConfiguredServer>,
    exports: TelemetryExporters,
    status: Option<Status>,
    _collection: BackgroundCollector,
    _redaction: CredentialRedaction,
    // Dropped before the connection through which it writes.
    _log: LogHandle,
    _worker_runner: Option<WorkerRunner>,
}

impl AssembledWorker {
    /// Sets up the worker and starts its services.
    pub(crate) async fn build(
        program: &ProgramSpec,
        (config, engine): (&Config, EngineFactory),
        mut inputs: DeploymentInputs,
        stop: &LifeCycleTracker,
    ) -> Result<Self> {
        let monitoring = from_config(&config.monitoring);
        let monitor = monitoring.monitor.clone();
        let worker_runner = inputs.worker_runner.take();
        // Refuses short secrets, which would match ordinary text.
        let _ = monitoring
            .redactor
            .add_all(config.secrets.iter().map(Secret::expose));
        let log = install_log(config, &monitoring, worker_runner.as_ref())?;
        let redaction = redact_credentials(inputs.credentials.clone(), monitoring.redactor.clone());
        let folder = &config.worker.data_folder;
        let options = config.worker.storage_options();
        let storage = TemporaryStorage::open_with_cleanup(folder, options, program.end_leftovers)?;
        let collector = GarbageCollector::with_listener(
            config.worker.collector.clone(),
            HostStats::new(folder),
            record_gc_metrics(&monitor),
        );
        let client = inputs.deployment.client(inputs.credentials.clone());
        let identity = config.worker.identity();
        let exports =
            TelemetryExporters::start(&config.monitoring, &monitoring, identity, &client)?;
        let hooks = hooks::start(config.web_hooks.clone(), client.clone(), &monitor).await?;
        let environment = Environment::builder(config.worker.identity(), storage)
            .resource_tracker(collector.tracker())
            .shared_web_hooks(hooks.clone())
            .monitor(monitor.clone())
            .stop(inputs.cause.internal(stop.clone()))
            .build();
        let tasks = TaskOverview::new(&monitoring.metrics);
        let status = Status::start(config, &monitoring, tasks.clone(), collector.clone()).await?;
        if let Some(status) = &status {
            inputs
                .progress
                .line(format_args!("status: {}", status.url()));
        }
        let collection = collector.start();
        let mounts = open_mounts(config, &inputs, collector.tracker()).await?;
        let admission = CollectorAdmission::new(collector);
        let parts = AppParts {
            environment: &environment,
            config: &config.worker,
            client: &client,
            config_file: config.file.as_deref(),
        };
        let engine = engine(&parts)?;
        let worker = build_worker(
            config,
            inputs,
            (environment.clone(), engine),
            (admission, mounts, tasks),
        )?;
        let plugins = program.plugins.iter();
        let worker = plugins
            .fold(worker, |worker, add| add(worker, &parts))
            .build()?;
        Ok(Self {
            worker,
            monitor,
            metrics: monitoring.metrics,
            hooks,
            exports,
            status,
            _collection: collection,
            _redaction: redaction,
            _log: log,
            _worker_runner: worker_runner,
        })
    }

    /// Claims and runs tasks until the worker is stopped.
    pub(crate) async fn run(&self, stop: &LifeCycleTracker) {
        let show_readiness = async {
            if let Some(status) = &self.status {
                status.set_ready(true);
                stop.wait_for_stage(StopStage::Graceful).await;
                status.set_ready(false);
            }
        };
        tokio::join!(self.worker.run_until(stop), show_readiness);
    }

    /// Returns a line with the totals of the worker's metrics.
    pub(crate) fn metrics_summary(&self) -> impl fmt::Display {
        let snapshot = self.metrics.snapshot();
        let counter = |name| snapshot.counter(name);
        let seconds = snapshot.distribution("task-duration");
        let seconds = seconds.and_then(|it| it.mean()).unwrap_or(0.0);
        let hits = counter("mounts.cache-hits");
        format!(
            "totals: runs: {}, {seconds:.2} s on average; cache hits: {hits} of {}; reclaims: {}",
            counter("tasks-resolved"),
            hits + counter("mounts.cache-misses"),
            counter("reclaimed"),
        )
    }

    /// Delivers the last error reports, metrics and traces, and stops the web hook server after readers of live logs
    /// had time to finish.
    pub(crate) async fn close(self) {
        tokio::join!(
            self.exports.stop(CLOSE_TIMEOUT),
            self.hooks.stop(CLOSE_TIMEOUT)
        );
    }
}

/// Installs the worker's own log. If worker-runner reads standard output, log lines are sent as messages to it.
fn install_log(
    config: &Config,
    monitoring: &MonitoringParts,
    worker_runner: Option<&WorkerRunner>,
) -> Result<LogHandle> {
    let format = config.monitoring.log.format;
    let mut log = LogBuilder::new(config.monitoring.log.clone())
        .redactor(monitoring.redactor.clone())
        .metrics(monitoring.metrics.clone());
    if let (LogFormat::Workerproto, Some(runner)) = (format, worker_runner) {
        log = log.writer(LineFormat::WorkerProto, runner.log_lines());
    }
    Ok(log.install()?)
}

fn build_worker(
    config: &Config,
    inputs: DeploymentInputs,
    (environment, engine): (Environment, Arc<dyn Engine>),
    (admission, mounts, tasks): (CollectorAdmission, Mounts, TaskOverview),
) -> Result<WorkerBuilder> {
    let observer: Arc<dyn Observer> = Arc::new(StatusObserver {
        tasks: tasks.clone(),
        next: inputs.progress,
    });
    let log = TaskLog::new()
        .observer(Arc::clone(&observer))
        .live(move |task: TaskContext| {
            tasks.log(task.run(), task.followed_log());
            Arc::new(LiveLog::new(move |offset| {
                task.followed_log().reader_at(offset)
            }))
        });
    let deployment = Arc::new(inputs.deployment);
    let worker = Worker::builder(deployment, environment.clone(), Arc::clone(&engine));
    let mut worker = config
        .worker
        .apply_to(worker)
        .credentials(inputs.credentials)
        .admission(Arc::new(admission))
        .observer(observer);
    if let Some(interval) = inputs.cancel_poll {
        worker = worker.cancel_poll_interval(interval);
    }
    let max_artifacts = config.worker.plugins.max_artifacts;
    let plugins = PluginsConfig {
        // Its source is in `sources.rs`.
        idle_stop: None,
        ..config.worker.plugins.clone()
    };
    let usage = ResourceUsage::new();
    let usage = match &plugins.resource_usage_artifact {
        Some(name) => usage.artifact(name),
        None => usage,
    };
    let mut worker = plugins.add_to(worker, &environment);
    if let Some(idle_stop) = inputs.idle_stop {
        worker = worker.plugin(idle_stop);
    }
    if plugins.taskcluster_proxy {
        let certificates = &config.worker.fetch.ca_certificates;
        worker = worker.plugin(TaskclusterProxy::new(certificates)?);
    }
    let worker = add_supported(worker.plugin(log), &*engine, TaskEnvVars);
    Ok(add_supported(worker, &*engine, mounts)
        .plugin(ExitStatus)
        .plugin(Artifacts::new(max_artifacts))
        .plugin(usage))
}

/// Adds a plugin if the engine has the capabilities that the plugin requires. Without these, the worker could not be
/// built.
fn add_supported(
    worker: WorkerBuilder,
    engine: &dyn Engine,
    plugin: impl Plugin + 'static,
) -> WorkerBuilder {
    let capabilities = engine.capabilities();
    if plugin.requires().iter().all(|it| capabilities.contains(it)) {
        worker.plugin(plugin)
    } else {
        worker
    }
}

/// Opens the caches and inputs, which later workers on the same folder reuse.
async fn open_mounts(
    config: &Config,
    inputs: &DeploymentInputs,
    tracker: ResourceTracker,
) -> Result<Mounts> {
    let purges = Arc::new(inputs.deployment.client(inputs.credentials.clone()));
    let root = config.worker.data_folder.join("mounts");
    let mounts = Mounts::builder(HttpClient::new(config.worker.fetch.clone())?, root)
        .observer(inputs.progress.clone())
        .purges(purges, &config.worker.task_queue_id);
    let mounts = config.worker.plugins.apply_to(mounts);
    Ok(mounts.open(tracker).await?)
}

/// Creates the data folder of a worker without a configured one. It is removed on drop.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("runtime-worker-")
        .tempdir()?)
}
