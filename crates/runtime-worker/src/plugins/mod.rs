//! The standard plugins, each usable alone.
//!
//! | plugin | payload | what it does |
//! | --- | --- | --- |
//! | [`TaskLog`] | – | live log while the task runs, the whole log as an artifact afterwards |
//! | [`TaskEnvVars`] | – | `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` |
//! | `Mounts`, behind `mounts` | `mounts` | caches that outlive a task, and inputs that are fetched once |
//! | [`MaxRunTime`] | `maxRunTime` | ends a task that runs too long |
//! | [`ExitStatus`] | `onExitStatus` | exit codes that mean "try again" or "drop the caches" |
//! | [`Artifacts`] | `artifacts` | uploads files and folders |
//! | [`ResourceUsage`] | – | says what a task used |
//! | [`LogPrefix`] | – | lines at the top of every log |
//! | [`IdleStop`] | – | stops a worker that has nothing to do |
//! | [`StopOnError`] | – | stops a worker after an internal error |
//! | [`Watchdog`] | – | stops a worker whose engine or plugins hang |

mod artifacts;
mod env;
mod exit_status;
mod idle_stop;
mod log_prefix;
mod max_run_time;
#[cfg(feature = "mounts")]
mod mounts;
mod resources;
mod stop_on_error;
mod task_log;
mod watchdog;

pub use artifacts::Artifacts;
pub use env::TaskEnvVars;
pub use exit_status::ExitStatus;
pub use idle_stop::IdleStop;
pub use log_prefix::LogPrefix;
pub use max_run_time::MaxRunTime;
#[cfg(feature = "mounts")]
pub use mounts::{Mounts, MountsBuilder};
pub use resources::ResourceUsage;
pub use stop_on_error::StopOnError;
pub use task_log::{LiveLogFactory, TaskLog};
pub use watchdog::Watchdog;
