//! The state shared by a task context and its controller.

use parking_lot::RwLock;
use runtime_ioext::log::{FollowedLog, LogWriter};

use super::info::TaskInfo;
use super::log::LogOptions;
use super::stop::StopFlag;
use crate::credentials::CredentialsCell;
use crate::deployment::Services;

/// One per task. Engine and plugins reach it through the context, the worker also through the controller.
pub(super) struct Shared {
    pub(super) info: TaskInfo,
    pub(super) log: FollowedLog,
    /// Writes worker lines, past the output limit.
    pub(super) worker_lines: LogWriter,
    pub(super) log_options: LogOptions,
    pub(super) stop: StopFlag,
    pub(super) credentials: CredentialsCell,
    pub(super) services: RwLock<Services>,
}
