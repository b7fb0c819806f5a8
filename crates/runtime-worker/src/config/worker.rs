//! The part of a configuration that every worker has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::log::OutputLimit;
use runtime_core::{Credentials, Environment, StorageOptions, WorkerIdentity};
use runtime_gc::{Amount, Threshold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use super::TimingConfig;
use crate::WorkerBuilder;
#[cfg(feature = "mounts")]
use crate::plugins::MountsBuilder;
use crate::plugins::{IdleStop, LogPrefix, MaxRunTime, StopOnError, Watchdog};
use crate::worker::{INTERNAL_ERRORS, OUTPUT, OUTPUT_END};

/// Who a worker is, what it may use, and how it behaves.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where the deployment is, such as `https://tc.example.com`.
    pub root_url: String,
    /// The queue to claim from: `<provisionerId>/<workerType>`.
    #[schemars(regex(pattern = "^[^/]{1,38}/[^/]{1,38}$"))]
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
    /// How many bytes the copies of inputs that tasks get may take together; absent for as many as the disk has.
    #[schemars(range(min = 1))]
    pub storage_quota: Option<u64>,
    /// How many bytes of a task's output go to its log, of which the last MiB is for the end of the output.
    #[serde(default = "output")]
    #[schemars(range(min = 1))]
    pub output_limit: u64,
    /// After how many internal errors in a row the worker stops; null for never.
    #[serde(default = "max_consecutive_internal_errors")]
    #[schemars(range(min = 1))]
    pub max_consecutive_internal_errors: Option<u32>,
    /// What must be left of the machine for the worker to claim, and which caches go when it is not. By
    /// default 1 GiB of disk and 256 MiB of memory.
    #[serde(default = "floors")]
    pub collector: runtime_gc::GcConfig,
    /// How often and how long, in seconds.
    #[serde(default)]
    pub timing: TimingConfig,
    /// How inputs are fetched: the proxy, attempts and waits, limits, which addresses a task may name. Times are
    /// in milliseconds.
    #[cfg(feature = "mounts")]
    #[serde(default)]
    pub fetch: runtime_fetcher::FetchConfig,
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

fn floors() -> runtime_gc::GcConfig {
    let mut config = runtime_gc::GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(1 << 30)));
    config.limits.min_available_memory = Some(Threshold::at(Amount::Absolute(256 << 20)));
    config
}

fn output() -> u64 {
    OUTPUT
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn max_consecutive_internal_errors() -> Option<u32> {
    Some(INTERNAL_ERRORS)
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

    /// How the worker's temporary storage is to be opened.
    #[must_use]
    pub fn storage_options(&self) -> StorageOptions {
        StorageOptions {
            quota: self.storage_quota,
            ..StorageOptions::default()
        }
    }

    /// Tells a worker its capacity, its intervals and its limits.
    pub fn apply_to(&self, worker: WorkerBuilder) -> WorkerBuilder {
        let end = usize::try_from(self.output_limit).unwrap_or(usize::MAX);
        worker
            .capacity(self.capacity)
            .timing(self.timing.to_timing())
            .max_consecutive_internal_errors(self.max_consecutive_internal_errors)
            .output_limit(OutputLimit::new(self.output_limit, end.min(OUTPUT_END)))
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
    pub state_file: Option<PathBuf>,
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
    /// Whether a named cache whose task was stopped, or whose worker was killed, is used again. By default it is
    /// removed, since it may be half-written.
    pub keep_unfinished_caches: bool,
    /// Whether inputs that an earlier worker left are compared with what they were before they are used.
    pub verify_inputs: bool,
    /// How much may come out of an archive.
    #[cfg(feature = "unpack")]
    pub unpack_limits: runtime_fetcher::UnpackLimits,
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
            keep_unfinished_caches: false,
            verify_inputs: false,
            #[cfg(feature = "unpack")]
            unpack_limits: runtime_fetcher::UnpackLimits::default(),
            stop_on_error: false,
            idle_stop: None,
            watchdog: None,
        }
    }
}

impl PluginsConfig {
    /// Adds the plugins that these settings are for, but for `Mounts`, which has caches to open: see
    /// `apply_to`. Must be called within a tokio runtime, and before other plugins are added: the watchdog has to
    /// hear of each stage first.
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

    /// Tells the caches and inputs of tasks the settings that are for them.
    #[cfg(feature = "mounts")]
    pub fn apply_to(&self, mut mounts: MountsBuilder) -> MountsBuilder {
        if let Some(prefix) = &self.cache_scopes {
            mounts = mounts.cache_scopes(prefix);
        }
        if self.keep_unfinished_caches {
            mounts = mounts.uncommitted(runtime_caching::Uncommitted::Keep);
        }
        #[cfg(feature = "unpack")]
        let mounts = mounts.unpack_limits(self.unpack_limits.clone());
        mounts.verify_adopted(self.verify_inputs)
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
