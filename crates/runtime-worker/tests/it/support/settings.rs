//! The settings of test workers, and the parts that a test may replace.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_client::TaskclusterDeployment;
use runtime_core::clock::{Clock, SystemClock};
use runtime_core::webhook::{Body, Handler};
use runtime_core::{
    Credentials, CredentialsWatch, Environment, LifeCycleTracker, Monitor, StorageOptions,
    TaskContext, TemporaryStorage, WorkerIdentity,
};
use runtime_fetcher::{AddressPolicy, FetchConfig, HttpClient};
use runtime_gc::ResourceTracker;
use runtime_process::{KillSequence, ProcessEngine};
use runtime_worker::plugins::{
    self, Artifacts, ExitStatus, MaxRunTime, Mounts, MountsBuilder, TaskLog,
};
use runtime_worker::{Engine, Timing, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};

use super::TASK_QUEUE;
use super::hooks::CountingHooks;

/// The settings of a worker. A worker in a separate process gets them as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerSettings {
    pub(super) root_url: String,
    pub(super) client_id: String,
    pub(super) access_token: String,
    pub(super) folder: PathBuf,
    /// Whether a worker in a separate process has the plugin `Mounts`.
    pub(super) mounts: bool,
    pub(super) capacity: usize,
}

/// The parts of a worker that a test may replace.
pub(super) struct WorkerParts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) client: runtime_client::ClientSettings,
    pub(super) hooks: CountingHooks,
    pub(super) monitor: Monitor,
    pub(super) resources: ResourceTracker,
    pub(super) stop: LifeCycleTracker,
    /// The limit for reserved temporary files, in bytes.
    pub(super) quota: Option<u64>,
    /// Distinguishes several workers of a test.
    pub(super) number: usize,
}

impl Default for WorkerParts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            engine: Arc::new(process_engine()),
            client: client_settings(),
            hooks: CountingHooks::default(),
            monitor: Monitor::null(),
            resources: ResourceTracker::detached(),
            stop: LifeCycleTracker::new(),
            quota: None,
            number: 0,
        }
    }
}

impl WorkerSettings {
    /// Sets the folder.
    pub(crate) fn in_folder(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    /// Adds the plugin `Mounts` to a worker in a separate process.
    pub(crate) fn with_mounts(self) -> Self {
        Self {
            mounts: true,
            ..self
        }
    }

    /// Sets the capacity to one task, so that no claim is in flight while a task runs.
    pub(crate) fn one_at_a_time(self) -> Self {
        Self {
            capacity: 1,
            ..self
        }
    }

    /// Returns the default worker: processes, task log, artifacts, time limit and exit codes.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        with_plugins(self.worker_from(WorkerParts::default()))
    }

    pub(super) fn worker_from(&self, parts: WorkerParts) -> WorkerBuilder {
        let environment = self.environment(&parts);
        let deployment = TaskclusterDeployment::with_settings(&self.root_url, parts.client)
            .expect("a valid root URL");
        Worker::builder(Arc::new(deployment), environment, parts.engine)
            .credentials(CredentialsWatch::fixed(Some(self.credentials())))
            .capacity(self.capacity)
            .timing(timing())
    }

    /// Returns a builder for caches and inputs in the worker's folder. Inputs may have any address.
    pub(crate) fn mounts(&self) -> MountsBuilder {
        let config = FetchConfig {
            addresses: AddressPolicy::Any,
            ..FetchConfig::default()
        };
        let http = HttpClient::new(config).expect("valid defaults");
        let deployment = TaskclusterDeployment::new(&self.root_url).expect("a valid root URL");
        let client = deployment.client(CredentialsWatch::fixed(Some(self.credentials())));
        Mounts::builder(http, self.folder.join("mounts")).purges(Arc::new(client), TASK_QUEUE)
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(self.client_id.clone(), self.access_token.clone())
    }

    fn environment(&self, parts: &WorkerParts) -> Environment {
        let storage = StorageOptions {
            quota: parts.quota,
            ..StorageOptions::default()
        };
        let storage = TemporaryStorage::open_with(&self.folder, storage);
        Environment {
            resource_tracker: parts.resources.clone(),
            storage: storage.expect("access the folder"),
            web_hooks: Arc::new(parts.hooks.clone()),
            monitor: parts.monitor.clone(),
            stop: Arc::new(parts.stop.clone()),
            identity: Arc::new(WorkerIdentity {
                root_url: self.root_url.clone(),
                task_queue_id: TASK_QUEUE.to_owned(),
                worker_group: "group".to_owned(),
                worker_id: format!("worker-{}-{}", std::process::id(), parts.number),
            }),
            clock: Arc::clone(&parts.clock),
        }
    }
}

pub(super) fn with_plugins(worker: WorkerBuilder) -> WorkerBuilder {
    worker
        .plugin(TaskLog::new().live(live_log))
        .plugin(plugins::TaskEnvVars)
        .plugin(MaxRunTime::default())
        .plugin(ExitStatus)
        .plugin(Artifacts::default())
}

/// Creates a live log handler. No test reads the live log.
pub(crate) fn live_log(_: TaskContext) -> Arc<dyn Handler> {
    Arc::new(NotFound)
}

/// A handler that always responds with 404.
struct NotFound;

#[async_trait]
impl Handler for NotFound {
    async fn handle(&self, _: http::Request<Body>) -> http::Response<Body> {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }
}

/// Returns a client with few retries, so that the tests exercise the retries of the worker.
fn client_settings() -> runtime_client::ClientSettings {
    let mut settings = runtime_client::ClientSettings::default();
    settings.retry.first_delay = Duration::from_millis(20);
    settings.retry.max_delay = Duration::from_millis(100);
    settings.retry.budget = Duration::from_millis(500);
    settings.credentials_wait = Duration::from_secs(2);
    settings.stall_timeout = Duration::from_secs(20);
    settings
}

fn timing() -> Timing {
    let mut timing = Timing::default();
    timing.cancel_poll_interval = Duration::from_millis(50);
    timing.retry_delay = Duration::from_millis(20);
    timing.claim_retry_delay = Duration::from_millis(50);
    timing.long_poll_timeout = Duration::from_secs(2);
    timing.empty_claim_delay = Duration::from_millis(10);
    timing.kill_timeout = Duration::from_secs(2);
    timing.hang_timeout = Duration::from_secs(2);
    timing
}

pub(crate) fn process_engine() -> ProcessEngine {
    ProcessEngine::new().kill_sequence(KillSequence::new(
        Duration::ZERO,
        Duration::from_millis(200),
    ))
}
