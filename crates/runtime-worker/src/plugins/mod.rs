//! The standard plugins. Each can be used alone.
//!
//! | plugin | payload | purpose |
//! | --- | --- | --- |
//! | [`TaskLog`] | – | serves the log while the task runs, and uploads it at the end |
//! | [`TaskEnvVars`] | – | sets `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` |
//! | `Mounts`, feature `mounts` | `mounts` | mounts caches that later tasks use again, and inputs that are fetched once |
//! | [`MaxRunTime`] | `maxRunTime` | kills a task that exceeds its run time |
//! | [`ExitStatus`] | `onExitStatus` | maps exit codes to retries or to the removal of caches |
//! | [`Artifacts`] | `artifacts` | uploads files and folders |
//! | `TaskclusterProxy`, feature `taskcluster-proxy` | `features.taskclusterProxy` | signs the task's requests to Taskcluster |
//! | `Interactive`, feature `interactive`, on Unix | `features.interactive` | serves shells inside of the task |
//! | [`ResourceUsage`] | – | logs the resource usage of a task, and optionally uploads it as an artifact |
//! | [`LogPrefix`] | – | writes lines at the top of every log |
//! | [`IdleStop`] | – | stops an idle worker |
//! | [`StopOnError`] | – | stops a worker after an internal error |
//! | [`Watchdog`] | – | stops a worker whose engine or plugins hang |

mod artifact_files;
mod artifact_names;
mod artifact_spec;
mod artifact_spool;
mod artifacts;
mod compressed_log;
mod env;
mod exit_status;
mod idle_stop;
#[cfg(all(feature = "interactive", unix))]
mod interactive;
mod log_prefix;
mod max_run_time;
#[cfg(feature = "mounts")]
mod mounts;
mod resource_usage;
mod stop_on_error;
mod task_log;
#[cfg(feature = "taskcluster-proxy")]
mod taskcluster_proxy;
mod usage_document;
mod watchdog;

pub use artifacts::Artifacts;
#[cfg(feature = "config")]
pub(crate) use artifacts::DEFAULT_MAX_ARTIFACTS;
pub use env::TaskEnvVars;
pub use exit_status::ExitStatus;
pub use idle_stop::{IdleShutdownSource, IdleStop};
#[cfg(all(feature = "interactive", unix))]
pub use interactive::Interactive;
pub use log_prefix::LogPrefix;
pub use max_run_time::MaxRunTime;
#[cfg(feature = "mounts")]
pub use mounts::{Mounts, MountsBuilder};
pub use resource_usage::ResourceUsage;
pub use stop_on_error::StopOnError;
pub use task_log::{LiveLogFactory, TaskLog};
#[cfg(feature = "taskcluster-proxy")]
pub use taskcluster_proxy::{TaskclusterProxy, TaskclusterProxyError};
pub use watchdog::Watchdog;
