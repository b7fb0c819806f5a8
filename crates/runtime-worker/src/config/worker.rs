//! The configuration that all workers share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use runtime_core::log::OutputLimit;
use runtime_core::util::{ByteSize, DurationText, at_least};
use runtime_core::{Credentials, Environment, Secret, StorageOptions, WorkerIdentity};
use runtime_gc::{Amount, Threshold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registration::RegistrationConfig;
#[cfg(feature = "mounts")]
use crate::plugins::MountsBuilder;
use crate::plugins::{
    DEFAULT_MAX_ARTIFACTS, IdleStop, LogPrefix, MaxRunTime, StopOnError, Watchdog,
};
use crate::timing::Timing;
use crate::worker::{
    DEFAULT_MAX_CONSECUTIVE_INTERNAL_ERRORS, DEFAULT_OUTPUT_LIMIT, MAX_OUTPUT_TAIL, WorkerBuilder,
};

/// The hosts of a deployment on this machine.
#[cfg(feature = "mounts")]
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// The identity, resources and behaviour of a worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// The root URL of the deployment, such as `https://tc.example.com`.
    #[schemars(regex(pattern = "^https?://[^/]"), example = "https://tc.example.com")]
    pub root_url: String,
    /// The task queue to claim from: `<provisionerId>/<workerType>`.
    #[schemars(regex(pattern = "^[^/]{1,38}/[^/]{1,38}$"), example = "proj/linux")]
    pub task_queue_id: String,
    /// The group of the worker, often a region; at most 38 letters, digits, dashes and underscores.
    #[schemars(regex(pattern = "^[a-zA-Z0-9_-]{1,38}$"), example = "us-east")]
    pub worker_group: String,
    /// The id of the worker, unique within its group; at most 38 letters, digits, dashes and underscores.
    #[schemars(regex(pattern = "^[a-zA-Z0-9_-]{1,38}$"), example = "i-1234")]
    pub worker_id: String,
    /// Static credentials. Omit them for a worker that registers or that worker-runner starts.
    pub credentials: Option<CredentialsConfig>,
    /// Registration with the worker manager.
    pub registration: Option<RegistrationConfig>,
    /// The number of tasks that run concurrently.
    #[serde(default = "default_capacity")]
    #[schemars(range(min = 1, max = 1000))]
    pub capacity: usize,
    /// The number of runs that the worker claims before it stops, when all are resolved; unlimited by default.
    #[schemars(range(min = 1))]
    pub max_tasks: Option<u64>,
    /// The time after which the worker stops when its running tasks are resolved; unlimited by default.
    #[serde(default, with = "DurationText")]
    #[schemars(transform = at_least("1 s"))]
    pub max_life_time: Option<Duration>,
    /// The folder for caches and temporary files.
    #[schemars(example = "/var/lib/worker")]
    pub data_folder: PathBuf,
    /// The limit for all tasks' copies of inputs together; unlimited by default.
    #[serde(default, with = "ByteSize")]
    #[schemars(transform = at_least("1 B"))]
    pub storage_quota: Option<u64>,
    /// The size of a task's output in its log. The last MiB is reserved for the end of the output.
    #[serde(default = "default_output_limit", with = "ByteSize")]
    #[schemars(transform = at_least("1 B"))]
    pub output_limit: u64,
    /// The number of consecutive internal errors after which the worker stops; 0 for no limit.
    #[serde(default = "default_max_consecutive_internal_errors")]
    pub max_consecutive_internal_errors: u32,
    /// The thresholds below which the worker claims no tasks and evicts caches; by default 1 GiB of disk and 256 MiB of
    /// memory.
    #[serde(default = "default_collector")]
    pub collector: runtime_gc::GcConfig,
    /// Intervals and timeouts.
    #[serde(default)]
    pub timing: Timing,
    /// Fetching of inputs: proxy, retries, limits and permitted addresses.
    #[cfg(feature = "mounts")]
    #[serde(default)]
    pub fetch: runtime_fetcher::FetchConfig,
    /// The standard plugins.
    #[serde(default)]
    pub plugins: PluginsConfig,
    /// The sources of shutdown requests.
    #[serde(default = "WorkerConfig::default_shutdown")]
    pub shutdown: Vec<ShutdownConfig>,
}

fn default_capacity() -> usize {
    1
}

fn default_collector() -> runtime_gc::GcConfig {
    let mut config = runtime_gc::GcConfig::default();
    config.limits.min_free_disk = Some(Threshold::at(Amount::Absolute(1 << 30)));
    config.limits.min_available_memory = Some(Threshold::at(Amount::Absolute(256 << 20)));
    config
}

fn default_output_limit() -> u64 {
    DEFAULT_OUTPUT_LIMIT
}

fn default_max_consecutive_internal_errors() -> u32 {
    DEFAULT_MAX_CONSECUTIVE_INTERNAL_ERRORS
}

impl WorkerConfig {
    /// Returns the default sources of shutdown requests: signals.
    #[must_use]
    pub fn default_shutdown() -> Vec<ShutdownConfig> {
        vec![ShutdownConfig::Signals]
    }

    /// Returns the identity of the worker.
    #[must_use]
    pub fn identity(&self) -> WorkerIdentity {
        WorkerIdentity {
            root_url: self.root_url.trim_end_matches('/').to_owned(),
            task_queue_id: self.task_queue_id.clone(),
            worker_group: self.worker_group.clone(),
            worker_id: self.worker_id.clone(),
        }
    }

    /// Lets tasks fetch from this machine if the deployment is a test server on it.
    #[cfg(feature = "mounts")]
    pub fn allow_local_deployment(&mut self) {
        let is_local = LOCAL_HOSTS.into_iter().any(|host| {
            let rest = self.root_url.strip_prefix("http://");
            let rest = rest.and_then(|rest| rest.strip_prefix(host));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if is_local {
            // All of them can be parsed.
            let hosts = LOCAL_HOSTS.into_iter().filter_map(|host| host.parse().ok());
            for host in hosts {
                // Not again if the configuration already has it, as one that was printed does.
                if !self.fetch.allowed_hosts.contains(&host) {
                    self.fetch.allowed_hosts.push(host);
                }
            }
        }
    }

    /// Returns the options for the worker's temporary storage.
    #[must_use]
    pub fn storage_options(&self) -> StorageOptions {
        StorageOptions {
            quota: self.storage_quota,
            ..StorageOptions::default()
        }
    }

    /// Sets capacity, timing and limits of a worker.
    pub fn apply_to(&self, worker: WorkerBuilder) -> WorkerBuilder {
        let tail = usize::try_from(self.output_limit).unwrap_or(usize::MAX);
        let max_errors = self.max_consecutive_internal_errors;
        worker
            .capacity(self.capacity)
            .max_tasks(self.max_tasks)
            .timing(self.timing)
            .max_consecutive_internal_errors((max_errors > 0).then_some(max_errors))
            .output_limit(OutputLimit::new(
                self.output_limit,
                tail.min(MAX_OUTPUT_TAIL),
            ))
    }
}

/// Static credentials of a worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsConfig {
    /// The client id.
    pub client_id: String,
    /// The access token.
    pub access_token: Secret,
    /// The certificate of temporary credentials.
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

/// Settings of the standard plugins.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// The maximum run time of a task.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 s"))]
    pub max_run_time: Duration,
    /// The maximum number of artifacts of a task, for the plugin `Artifacts`.
    #[schemars(range(min = 1))]
    pub max_artifacts: usize,
    /// The name of an artifact with the resource usage of each command over time, such as `public/resource-usage.json`.
    /// By default there is none.
    pub resource_usage_artifact: Option<String>,
    /// Lines at the top of every task log.
    pub log_prefix: BTreeMap<String, String>,
    /// The prefix of the scope that a named cache requires, such as `my-worker:cache:`; the name of the cache follows. By
    /// default no scope is required, and anyone who can create tasks for the queue can use all caches.
    pub cache_scopes: Option<String>,
    /// Whether to keep a named cache after its task was stopped or its worker was killed. By default it is removed, since
    /// it may be half-written.
    pub keep_uncommitted_caches: bool,
    /// Whether to compare inputs of earlier workers with their fingerprints before use.
    pub verify_adopted_inputs: bool,
    /// Whether tasks may ask for a proxy that signs their requests to Taskcluster with their scopes: the plugin
    /// `TaskclusterProxy`.
    #[cfg(feature = "taskcluster-proxy")]
    pub taskcluster_proxy: bool,
    /// Whether tasks may ask for shells in them, for everyone who may read their private artifacts.
    #[cfg(all(feature = "interactive", unix))]
    pub interactive: bool,
    /// Limits for unpacking archives.
    #[cfg(feature = "unpack")]
    pub unpack_limits: runtime_fetcher::UnpackLimits,
    /// Whether the worker stops after the first internal error.
    pub stop_on_error: bool,
    /// The idle time after which the worker stops; unlimited by default.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 s"))]
    pub idle_stop: Option<Duration>,
    /// The maximum time of a stage of a task; unlimited by default.
    #[serde(with = "DurationText")]
    #[schemars(transform = at_least("1 s"))]
    pub watchdog: Option<Duration>,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            max_run_time: Duration::from_secs(24 * 60 * 60),
            max_artifacts: DEFAULT_MAX_ARTIFACTS,
            resource_usage_artifact: None,
            log_prefix: BTreeMap::new(),
            cache_scopes: None,
            keep_uncommitted_caches: false,
            verify_adopted_inputs: false,
            #[cfg(feature = "taskcluster-proxy")]
            taskcluster_proxy: false,
            #[cfg(all(feature = "interactive", unix))]
            interactive: false,
            #[cfg(feature = "unpack")]
            unpack_limits: runtime_fetcher::UnpackLimits::default(),
            stop_on_error: false,
            idle_stop: None,
            watchdog: None,
        }
    }
}

impl PluginsConfig {
    /// Adds the configured plugins to a worker, except `Artifacts`, whose place among the plugins matters,
    /// `TaskclusterProxy`, which may fail, and `Mounts`, which needs its caches opened: see `apply_to`.
    ///
    /// Call it before other plugins are added, because the watchdog has to be the first.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn add_to(&self, mut worker: WorkerBuilder, environment: &Environment) -> WorkerBuilder {
        if let Some(limit) = self.watchdog {
            worker = worker.plugin(Watchdog::new(limit));
        }
        if let Some(limit) = self.idle_stop {
            worker = worker.plugin(IdleStop::new(environment, limit));
        }
        if self.stop_on_error {
            worker = worker.plugin(StopOnError);
        }
        #[cfg(all(feature = "interactive", unix))]
        if self.interactive {
            worker = worker.plugin(crate::plugins::Interactive);
        }
        worker
            .plugin(LogPrefix::new(self.log_prefix.clone()))
            .plugin(MaxRunTime::new(self.max_run_time))
    }

    /// Sets the options of `Mounts`.
    #[cfg(feature = "mounts")]
    pub fn apply_to(&self, mut mounts: MountsBuilder) -> MountsBuilder {
        if let Some(prefix) = &self.cache_scopes {
            mounts = mounts.cache_scopes(prefix);
        }
        if self.keep_uncommitted_caches {
            mounts = mounts.uncommitted(runtime_caching::Uncommitted::Keep);
        }
        #[cfg(feature = "unpack")]
        let mounts = mounts.unpack_limits(self.unpack_limits.clone());
        mounts.verify_adopted(self.verify_adopted_inputs)
    }
}

/// A source of shutdown requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ShutdownConfig {
    /// `SIGTERM`, `SIGINT` and `SIGHUP`.
    Signals,
    /// Interruption notices of AWS spot instances.
    AwsSpot,
    /// Preemption notices of Google Cloud.
    GcpPreemption,
    /// Scheduled events of Azure.
    AzureEvents,
    /// `shouldWorkerTerminate` of the worker manager.
    WorkerManager,
    /// Messages of worker-runner on standard input.
    WorkerRunner,
}
