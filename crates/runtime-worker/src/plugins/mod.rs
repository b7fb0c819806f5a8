//! The standard plugins, each usable alone.
//!
//! | plugin | payload | what it does |
//! | --- | --- | --- |
//! | [`TaskLog`] | – | live log while the task runs, the whole log as an artifact afterwards |
//! | [`Environment`] | – | `TASK_ID`, `RUN_ID`, `TASK_GROUP_ID`, `TASKCLUSTER_ROOT_URL` |
//! | [`Mounts`] | `mounts` | caches that outlive a task, and inputs that are fetched once |
//! | [`MaxRunTime`] | `maxRunTime` | ends a task that runs too long |
//! | [`ExitStatus`] | `onExitStatus` | exit codes that mean "try again" or "drop the caches" |
//! | [`Artifacts`] | `artifacts` | uploads files and folders |

mod artifacts;
mod env;
mod exit_status;
mod max_run_time;
mod mounts;
mod task_log;

pub use artifacts::Artifacts;
pub use env::Environment;
pub use exit_status::ExitStatus;
pub use max_run_time::MaxRunTime;
pub use mounts::Mounts;
pub use task_log::{LiveLog, TaskLog};
