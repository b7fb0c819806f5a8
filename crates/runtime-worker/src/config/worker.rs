//! The part of a configuration that every worker has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::{Credentials, Environment, WorkerIdentity};
use runtime_gc::{Amount, Mark};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use crate::plugins::{IdleStop, LogPrefix, MaxRunTime, StopOnError, Watchdog};
use crate::{Timing, WorkerBuilder};

/// Who a worker is, what it may use, and how it behaves.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where the deployment is, such as `https://tc.example.com`.
    pub root_url: String,
    /// The queue to claim from: `<provisionerId>/<workerType>`.
    pub task_queue_id: String,
    /// The group of the worker, often a region; at most 38 characters.
    #[schemars(length(min = 1, max = 38))]
    pub worker_group: String,
    /// The worker within its group; at most 38 characters, unique among live workers.
    #[schemars(length(min = 1, max = 38))]
    pub worker_id: String,
    /// Credentials that somebody made for this worker. Leave them out for a worker that registers or
    /// that worker-runner starts.
    pub credentials: Option<CredentialsConfig>,
    /// How to register with the worker manager.
    pub registration: Option<RegistrationConfig>,
    /// How many tasks run at a time.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub capacity: usize,
    /// Where caches and temporary files go.
    pub data_folder: PathBuf,
    /// What must be left of the machine for the worker to claim, and which caches go when it is not. By
    /// default 1 GiB of disk and 256 MiB of memory.
    #[serde(default = "floors")]
    pub collector: runtime_gc::Config,
    /// How often and how long, in seconds.
    #[serde(default)]
    pub timing: TimingConfig,
    /// How tasks run as processes.
    #[serde(default)]
    pub processes: ProcessConfig,
    /// The standard plugins.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// Who may stop the worker.
    #[serde(default = "signals")]
    pub shutdown: Vec<ShutdownConfig>,
}

fn one() -> usize {
    1
}

fn floors() -> runtime_gc::Config {
    let mut config = runtime_gc::Config::default();
    config.limits.min_free_disk = Some(Mark::at(Amount::Absolute(1 << 30)));
    config.limits.min_available_memory = Some(Mark::at(Amount::Absolute(256 << 20)));
    config
}

fn signals() -> Vec<ShutdownConfig> {
    vec![ShutdownConfig::Signals]
}

impl WorkerConfig {
    /// The names of the worker.
    #[must_use]
    pub fn identity(&self) -> WorkerIdentity {
        WorkerIdentity {
            root_url: self.root_url.trim_end_matches('/').to_owned(),
            task_queue_id: self.task_queue_id.clone(),
            worker_group: self.worker_group.clone(),
            worker_id: self.worker_id.clone(),
        }
    }
}

/// Credentials that somebody made for a worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsConfig {
    /// Names the client.
    pub client_id: String,
    /// Signs the requests.
    pub access_token: Secret,
    /// Comes with temporary credentials.
    pub certificate: Option<Secret>,
}

impl From<&CredentialsConfig> for Credentials {
    fn from(config: &CredentialsConfig) -> Self {
        let credentials = Self::new(config.client_id.clone(), config.access_token.expose());
        match &config.certificate {
            Some(certificate) => credentials.with_certificate(certificate.expose()),
            None => credentials,
        }
    }
}

/// How a worker registers with the worker manager.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrationConfig {
    /// The provider of the pool, such as `static`.
    pub provider_id: String,
    /// The secret that proves who a static worker is.
    pub static_secret: Secret,
    /// Where to keep what the next registration needs.
    pub keep_in: Option<PathBuf>,
}

/// Intervals and limits in seconds; what is absent is as [`Timing`] has it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TimingConfig {
    /// How often to ask whether a running task was cancelled.
    #[schemars(range(min = 1))]
    pub cancel_poll: Option<u32>,
    /// How long before the end of a claim to extend it.
    #[schemars(range(min = 1))]
    pub reclaim_margin: Option<u32>,
    /// The pause after a claim that failed or that the worker may not make.
    #[schemars(range(min = 1))]
    pub claim_pause: Option<u32>,
    /// How long an engine may take to end a task.
    pub kill: Option<u32>,
    /// How long a worker that stops at once may take when nobody said how much time there is.
    pub shutdown: Option<u32>,
    /// How long before its deadline a graceful stop becomes an immediate one.
    pub shutdown_reserve: Option<u32>,
}

impl TimingConfig {
    /// The intervals, with defaults for what is absent.
    #[must_use]
    pub fn to_timing(&self) -> Timing {
        let mut timing = Timing::default();
        for (target, seconds) in [
            (&mut timing.cancel_poll, self.cancel_poll),
            (&mut timing.reclaim_margin, self.reclaim_margin),
            (&mut timing.claim_pause, self.claim_pause),
            (&mut timing.kill, self.kill),
            (&mut timing.shutdown, self.shutdown),
            (&mut timing.shutdown_reserve, self.shutdown_reserve),
        ] {
            if let Some(seconds) = seconds {
                *target = Duration::from_secs(seconds.into());
            }
        }
        timing
    }
}

/// How tasks run as processes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Variables that all tasks see unless they set them themselves.
    pub env: BTreeMap<String, String>,
    /// Seconds that a task has to obey `SIGINT`; 0 leaves it out.
    pub interrupt: u32,
    /// Seconds that a task has to obey `SIGTERM`; 0 leaves it out.
    pub terminate: u32,
    /// Whether orphans of tasks come to the worker, so that no zombies pile up.
    pub adopt_orphans: bool,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            interrupt: 5,
            terminate: 5,
            adopt_orphans: false,
        }
    }
}

#[cfg(feature = "process")]
impl ProcessConfig {
    /// The engine.
    #[must_use]
    pub fn to_engine(&self) -> crate::ProcessEngine {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let ladder = crate::Ladder::new(seconds(self.interrupt), seconds(self.terminate));
        let engine = crate::ProcessEngine::new()
            .ladder(ladder)
            .adopt_orphans(self.adopt_orphans);
        self.env
            .iter()
            .fold(engine, |engine, (name, value)| engine.env(name, value))
    }
}

/// The standard plugins that have settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// The longest time in seconds that a task may ask for.
    #[schemars(range(min = 1))]
    pub max_run_time: u32,
    /// Lines at the top of every log.
    pub log_prefix: BTreeMap<String, String>,
    /// What the scope that a named cache takes starts with, such as `my-worker:cache:`; the name of the cache
    /// follows. By default a cache takes no scope, and who can create tasks for the queue can use them all.
    pub cache_scopes: Option<String>,
    /// Whether to stop after the first internal error.
    pub stop_on_error: bool,
    /// Seconds without a task after which the worker stops; absent for never.
    #[schemars(range(min = 1))]
    pub idle_stop: Option<u32>,
    /// Seconds that a stage of a task may take; absent for any time.
    #[schemars(range(min = 1))]
    pub watchdog: Option<u32>,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            max_run_time: 24 * 60 * 60,
            log_prefix: BTreeMap::new(),
            cache_scopes: None,
            stop_on_error: false,
            idle_stop: None,
            watchdog: None,
        }
    }
}

impl PluginsConfig {
    /// Adds the plugins that these settings are for, but for those that have others, too: `cache_scopes` is for
    /// [`Mounts`](crate::plugins). Must be called within a tokio runtime, and before other plugins are added:
    /// the watchdog has to hear of each stage first.
    pub fn add_to(&self, mut worker: WorkerBuilder, environment: &Environment) -> WorkerBuilder {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        if let Some(limit) = self.watchdog {
            worker = worker.plugin(Watchdog::new(seconds(limit)));
        }
        if let Some(limit) = self.idle_stop {
            worker = worker.plugin(IdleStop::new(environment, seconds(limit)));
        }
        if self.stop_on_error {
            worker = worker.plugin(StopOnError);
        }
        worker
            .plugin(LogPrefix::new(self.log_prefix.clone()))
            .plugin(MaxRunTime::new(seconds(self.max_run_time)))
    }
}

/// Who may stop a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ShutdownConfig {
    /// `SIGTERM` and `SIGINT`.
    Signals,
    /// Spot notices of AWS.
    AwsSpot,
    /// Preemption on Google Cloud.
    GcpPreemption,
    /// Scheduled events of Azure.
    AzureEvents,
    /// `shouldWorkerTerminate` of the worker manager.
    WorkerManager,
    /// Worker-runner, over standard input and output.
    WorkerRunner,
}
