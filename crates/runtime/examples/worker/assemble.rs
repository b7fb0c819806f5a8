//! Puts the parts of the worker together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use runtime::client::TaskclusterDeployment;
use runtime::clock::SystemClock;
use runtime::fetcher::{AddressPolicy, FetchConfig, HttpClient};
use runtime::gc::{
    Amount, Background, Config as CollectorConfig, GarbageCollector, Mark, ResourceTracker,
    SystemPressure,
};
use runtime::monitoring::{
    Config, Hiding, Log, LogBuilder, Metrics, from_config, hide_credentials,
};
use runtime::webhook::{AnyServer, LiveLog};
use runtime::worker::plugins::{self, Artifacts, ExitStatus, MaxRunTime, Mounts, TaskLog};
use runtime::worker::{CollectorAdmission, Observer, ProcessEngine, Worker, measure_collections};
use runtime::{
    CredentialsWatch, Deployment as _, Environment, LifeCycleTracker, Monitor, TaskContext,
    TemporaryStorage, WorkerIdentity,
};
use tempfile::TempDir;

use crate::args::Args;
use crate::hooks;
use crate::progress::Progress;

/// How long those who follow a log have to read its end when the worker stops.
const GRACE: Duration = Duration::from_secs(2);

/// What differs between an embedded deployment and a real one.
pub(crate) struct Parts {
    pub(crate) deployment: TaskclusterDeployment,
    pub(crate) credentials: CredentialsWatch,
    pub(crate) progress: Arc<Progress>,
    pub(crate) cancel_poll: Duration,
    /// Whether tasks may fetch from addresses of this machine, where the embedded deployment is.
    pub(crate) trust_loopback: bool,
}

/// A worker, and what has to live as long as it does.
pub(crate) struct Assembled {
    pub(crate) worker: Worker,
    metrics: Metrics,
    hooks: Arc<AnyServer>,
    _collection: Background,
    _hiding: Hiding,
    _folder: Option<TempDir>,
    _log: Log,
}

pub(crate) async fn assemble(
    args: &Args,
    parts: Parts,
    stop: &LifeCycleTracker,
) -> Result<Assembled> {
    let config = monitoring_config(args)?;
    let monitoring = from_config(&config);
    let log = LogBuilder::new(config.log.clone())
        .redactor(monitoring.redactor.clone())
        .metrics(monitoring.metrics.clone())
        .install()?;
    let hiding = hide_credentials(parts.credentials.clone(), monitoring.redactor);
    let (root, folder) = storage_root(args)?;
    let storage = TemporaryStorage::open(&root)?;
    let collector = collector(root.clone(), &monitoring.monitor);
    let client = parts.deployment.client(parts.credentials.clone());
    let hooks = hooks::start(args.web_hooks.as_deref(), client, &monitoring.monitor).await?;
    let environment = Environment {
        resources: collector.tracker(),
        storage,
        web_hooks: hooks.clone(),
        monitor: monitoring.monitor,
        worker: Arc::new(stop.clone()),
        identity: identity(args, parts.deployment.root_url()),
        clock: Arc::new(SystemClock),
    };
    let collection = collector.start();
    let mounts = mounts(&parts, root, collector.tracker()).await?;
    let worker = worker(args, parts, environment, (collector, mounts))?;
    Ok(Assembled {
        worker,
        metrics: monitoring.metrics,
        hooks,
        _collection: collection,
        _hiding: hiding,
        _folder: folder,
        _log: log,
    })
}

fn worker(
    args: &Args,
    parts: Parts,
    environment: Environment,
    (collector, mounts): (GarbageCollector, Mounts),
) -> Result<Worker> {
    let observer: Arc<dyn Observer> = parts.progress;
    let log = TaskLog::new()
        .observer(Arc::clone(&observer))
        .live(|task: TaskContext| {
            Arc::new(LiveLog::new(move |offset| {
                task.followed_log().reader_at(offset)
            }))
        });
    let engine = std::env::var("PATH")
        .into_iter()
        .fold(ProcessEngine::new(), |engine, path| {
            engine.env("PATH", path)
        });
    let worker = Worker::builder(Arc::new(parts.deployment), environment, Arc::new(engine))
        .credentials(parts.credentials)
        .capacity(args.capacity.into())
        .cancel_poll(parts.cancel_poll)
        .admission(Arc::new(CollectorAdmission::new(collector)))
        .observer(observer)
        .plugin(log)
        .plugin(plugins::Environment)
        .plugin(mounts)
        .plugin(MaxRunTime::default())
        .plugin(ExitStatus)
        .plugin(Artifacts)
        .build()?;
    Ok(worker)
}

/// Caches and inputs, which the next worker on the same folder finds again.
async fn mounts(parts: &Parts, root: PathBuf, tracker: ResourceTracker) -> Result<Mounts> {
    let mut fetch = FetchConfig::default();
    if parts.trust_loopback {
        fetch.addresses = AddressPolicy::Any;
    }
    let mounts = Mounts::builder(HttpClient::new(fetch)?, root.join("mounts"))
        .observer(parts.progress.clone())
        .open(tracker)
        .await?;
    Ok(mounts)
}

fn monitoring_config(args: &Args) -> Result<Config> {
    let mut config = Config::default();
    let level = serde_json::Value::from(args.log_level.to_lowercase());
    config.log.level = serde_json::from_value(level).context("--log-level")?;
    Ok(config)
}

/// Without `--data`, a folder that goes with the worker.
fn storage_root(args: &Args) -> Result<(PathBuf, Option<TempDir>)> {
    if let Some(data) = &args.data {
        return Ok((data.clone(), None));
    }
    let folder = tempfile::Builder::new()
        .prefix("runtime-worker-")
        .tempdir()?;
    Ok((folder.path().to_owned(), Some(folder)))
}

/// Frees caches when less than 1 GiB of disk or 256 MiB of memory is left.
fn collector(root: PathBuf, monitor: &Monitor) -> GarbageCollector {
    let mut config = CollectorConfig::default();
    config.limits.min_free_disk = Some(Mark::at(Amount::Absolute(1 << 30)));
    config.limits.min_available_memory = Some(Mark::at(Amount::Absolute(256 << 20)));
    let listener = measure_collections(monitor);
    GarbageCollector::with_listener(config, SystemPressure::new(root), listener)
}

fn identity(args: &Args, root_url: &str) -> WorkerIdentity {
    WorkerIdentity {
        root_url: root_url.to_owned(),
        task_queue_id: args.task_queue_id.clone(),
        worker_group: args.worker_group.clone(),
        worker_id: args.worker_id.clone(),
    }
}

impl Assembled {
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

    /// Ends what serves live logs, after those who follow one had time to read its end.
    pub(crate) async fn close(self) {
        self.hooks.stop(GRACE).await;
    }
}
