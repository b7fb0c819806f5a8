//! The state shared by a task context and its controller.

use parking_lot::RwLock;
use runtime_ioext::log::{FollowedLog, LogWriter};

use super::info::TaskInfo;
use super::log::LogOptions;
use super::stop::StopSignal;
use crate::credentials::CredentialsCell;
use crate::deployment::Services;

pub(super) struct Shared {
    pub(super) info: TaskInfo,
    pub(super) log: FollowedLog,
    pub(super) own_lines: LogWriter,
    pub(super) log_options: LogOptions,
    pub(super) stop: StopSignal,
    pub(super) credentials: CredentialsCell,
    pub(super) services: RwLock<Services>,
}
