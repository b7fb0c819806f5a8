//! Puts the parts of the worker together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use runtime::client::TaskclusterDeployment;
use runtime::clock::SystemClock;
use runtime::fetcher::{AddressPolicy, HttpClient};
use runtime::gc::{BackgroundCollector, GarbageCollector, HostStats, ResourceTracker};
use runtime::monitoring::status::TaskOverview;
use runtime::monitoring::{
    CredentialRedaction, LineFormat, LogBuilder, LogFormat, LogHandle, Metrics, Monitoring,
    from_config, redact_credentials,
};
use runtime::webhook::{ConfiguredServer, LiveLog};
use runtime::worker::plugins::{self, Artifacts, ExitStatus, Mounts, ResourceUsage, TaskLog};
use runtime::worker::worker_runner::WorkerRunner;
use runtime::worker::Worker;
use runtime::worker::admission::CollectorAdmission;
use runtime::worker::gc_metrics::record_gc_metrics;
use runtime::worker::observer::Observer;
use runtime::{
    CredentialsWatch, Environment, LifeCycleTracker, Monitor, StopStage, TaskContext,
    TemporaryStorage,
};

use crate::config::Config;
use crate::hooks;
use crate::progress::Progress;
use crate::reports::Reports;
use crate::status::{Noting, Status};

/// How long those who follow a log have to read its end when the worker stops, and reports of errors to arrive.
const GRACE: Duration = Duration::from_secs(2);

/// What differs between an embedded deployment and a real one.
pub(crate) struct Parts {
    pub(crate) deployment: TaskclusterDeployment,
    pub(crate) credentials: CredentialsWatch,
    pub(crate) progress: Arc<Progress>,
    /// The conversation with worker-runner, if there is one.
    pub(crate) runner: Option<WorkerRunner>,
    /// In place of what is configured.
    pub(crate) cancel_poll: Option<Duration>,
    /// Whether tasks may fetch from addresses of this machine, where the embedded deployment is.
    pub(crate) trust_loopback: bool,
}

/// A worker, and what has to live as long as it does.
pub(crate) struct Assembled {
    pub(crate) worker: Worker,
    pub(crate) monitor: Monitor,
    metrics: Metrics,
    hooks: Arc<ConfiguredServer>,
    reports: Reports,
    status: Option<Status>,
    _collection: BackgroundCollector,
    _hiding: CredentialRedaction,
    _log: LogHandle,
    /// Takes the log, and so ends after it.
    _runner: Option<WorkerRunner>,
}

pub(crate) async fn assemble(
    config: &Config,
    mut parts: Parts,
    stop: &LifeCycleTracker,
) -> Result<Assembled> {
    let monitoring = from_config(&config.monitoring);
    let runner = parts.runner.take();
    let log = log(config, &monitoring, runner.as_ref())?;
    let hiding = redact_credentials(parts.credentials.clone(), monitoring.redactor.clone());
    let root = config.worker.data_folder.clone();
    let storage = TemporaryStorage::open_with(&root, config.worker.storage_options())?;
    let monitor = monitoring.monitor.clone();
    let collector = collector(config, &monitor);
    let client = parts.deployment.client(parts.credentials.clone());
    let reports = Reports::start(config, &monitoring, &client)?;
    let hooks = hooks::start(config.web_hooks.clone(), client, &monitor).await?;
    let environment = Environment {
        resource_tracker: collector.tracker(),
        storage,
        web_hooks: hooks.clone(),
        monitor: monitor.clone(),
        stop: Arc::new(stop.clone()),
        identity: config.worker.identity(),
        clock: Arc::new(SystemClock),
    };
    let collection = collector.start();
    let board = TaskOverview::new(&monitoring.metrics);
    let status = Status::start(config, &monitoring, board.clone(), collector.clone()).await?;
    let mounts = mounts(config, &parts, collector.tracker()).await?;
    let worker = worker(config, parts, environment, (collector, mounts, board))?;
    Ok(Assembled {
        worker,
        monitor,
        metrics: monitoring.metrics,
        hooks,
        reports,
        status,
        _collection: collection,
        _hiding: hiding,
        _log: log,
        _runner: runner,
    })
}

/// The worker's own log. Between messages to worker-runner it takes turns with them, since both are lines on standard
/// output.
fn log(
    config: &Config,
    monitoring: &Monitoring,
    runner: Option<&WorkerRunner>,
) -> Result<LogHandle> {
    let format = config.monitoring.log.format;
    let mut log = LogBuilder::new(config.monitoring.log.clone())
        .redactor(monitoring.redactor.clone())
        .metrics(monitoring.metrics.clone());
    if let (LogFormat::Workerproto, Some(runner)) = (format, runner) {
        log = log.writer(LineFormat::WorkerProto, runner.log_lines());
    }
    Ok(log.install()?)
}

fn worker(
    config: &Config,
    parts: Parts,
    environment: Environment,
    (collector, mounts, board): (GarbageCollector, Mounts, TaskOverview),
) -> Result<Worker> {
    let observer: Arc<dyn Observer> = Arc::new(Noting {
        board: board.clone(),
        next: parts.progress,
    });
    let log = TaskLog::new()
        .observer(Arc::clone(&observer))
        .live(move |task: TaskContext| {
            board.log(task.run(), task.followed_log());
            Arc::new(LiveLog::new(move |offset| {
                task.followed_log().reader_at(offset)
            }))
        });
    let settings = &config.worker.plugins;
    let engine = Arc::new(config.processes.to_engine());
    let worker = Worker::builder(Arc::new(parts.deployment), environment.clone(), engine);
    let mut worker = config
        .worker
        .apply_to(worker)
        .credentials(parts.credentials)
        .admission(Arc::new(CollectorAdmission::new(collector)))
        .observer(observer);
    if let Some(interval) = parts.cancel_poll {
        worker = worker.cancel_poll(interval);
    }
    let worker = settings
        .add_to(worker, &environment)
        .plugin(log)
        .plugin(plugins::TaskEnvVars)
        .plugin(mounts)
        .plugin(ExitStatus)
        .plugin(Artifacts)
        .plugin(ResourceUsage)
        .build()?;
    Ok(worker)
}

/// Caches and inputs, which the next worker on the same folder finds again.
async fn mounts(config: &Config, parts: &Parts, tracker: ResourceTracker) -> Result<Mounts> {
    let mut fetch = config.worker.fetch.clone();
    if parts.trust_loopback {
        fetch.addresses = AddressPolicy::Any;
    }
    let purges = Arc::new(parts.deployment.client(parts.credentials.clone()));
    let root = config.worker.data_folder.join("mounts");
    let mounts = Mounts::builder(HttpClient::new(fetch)?, root)
        .observer(parts.progress.clone())
        .purges(purges, &config.worker.task_queue_id);
    let mounts = config.worker.plugins.apply_to(mounts);
    Ok(mounts.open(tracker).await?)
}

/// Frees caches when the machine runs low.
fn collector(config: &Config, monitor: &Monitor) -> GarbageCollector {
    let pressure = HostStats::new(&config.worker.data_folder);
    let listener = record_gc_metrics(monitor);
    GarbageCollector::with_listener(config.worker.collector.clone(), pressure, listener)
}

/// The folder of a worker that was given none; it goes when this is dropped.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("runtime-worker-")
        .tempdir()?;
    Ok(folder)
}

impl Assembled {
    /// Claims and runs tasks until the worker is stopped.
    pub(crate) async fn work(&self, stop: &LifeCycleTracker) {
        let tell = async {
            if let Some(status) = &self.status {
                status.set_ready(true);
                stop.wait_for_stage(StopStage::Graceful).await;
                status.set_ready(false);
            }
        };
        tokio::join!(self.worker.run_until(stop), tell);
    }

    pub(crate) fn status_url(&self) -> Option<String> {
        self.status.as_ref().map(Status::url)
    }

    /// What the worker measured, in a line.
    pub(crate) fn measured(&self) -> String {
        let snapshot = self.metrics.snapshot();
        let tasks = snapshot.counter("tasks-resolved");
        let seconds = snapshot
            .distribution("task-duration")
            .and_then(|seconds| seconds.mean())
            .unwrap_or(0.0);
        let (hits, misses) = (
            snapshot.counter("cache-hits"),
            snapshot.counter("cache-misses"),
        );
        let extended = snapshot.counter("reclaimed");
        let runs = if tasks == 1 { "run" } else { "runs" };
        format!(
            "{tasks} {runs}, {seconds:.2} s each on average; {hits} of {} cached things were warm; {extended} claims extended",
            hits + misses,
        )
    }

    /// Delivers the last reports of errors, and ends what serves live logs after those who follow one had time to read
    /// its end.
    pub(crate) async fn close(self) {
        tokio::join!(self.reports.stop(GRACE), self.hooks.stop(GRACE));
    }
}
