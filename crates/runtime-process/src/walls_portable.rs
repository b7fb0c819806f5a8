//! Walls on systems without support for them: each setting for walls is an error.

use runtime_core::TemporaryStorage;

use crate::isolation::{TaskIsolation, TaskNetwork};
use crate::settings::EngineSettings;
use crate::task_folder::TaskFolder;

/// An isolation is configured.
#[derive(Debug, thiserror::Error)]
#[error(
    "the isolation of tasks needs Linux on x86-64 or AArch64; set it, and their network, to the default"
)]
pub(crate) struct WallsError;

/// Never exists.
#[derive(Debug)]
pub(crate) enum Walls {}

/// Never exists.
#[derive(Debug)]
pub(crate) enum TaskWalls {}

impl Walls {
    pub(crate) fn of(settings: &EngineSettings) -> Result<Option<Self>, WallsError> {
        let is_default =
            (settings.isolation, settings.network) == (TaskIsolation::None, TaskNetwork::Host);
        if is_default {
            Ok(None)
        } else {
            Err(WallsError)
        }
    }

    pub(crate) async fn prepare(
        settings: &EngineSettings,
        _: &TemporaryStorage,
    ) -> Result<Option<Self>, WallsError> {
        Self::of(settings)
    }

    pub(crate) fn around(&self, _: &TaskFolder) -> Result<TaskWalls, WallsError> {
        match *self {}
    }

    pub(crate) fn proxy_port(&self) -> Option<u16> {
        match *self {}
    }

    pub(crate) fn no_proxies(&self) -> Option<&WallsError> {
        match *self {}
    }

    #[cfg(unix)]
    pub(crate) fn describe(&self) -> String {
        match *self {}
    }
}

impl TaskWalls {
    pub(crate) fn show(&self, _: &std::path::Path) -> bool {
        match *self {}
    }
}
