//! A command where there are no process groups: only the process itself can be ended.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use runtime_core::{LogDrain, TemporaryStorage};
pub(super) use tokio::process::Child as Process;

use super::engine::Shared;
use super::ladder::Signal;
use super::output::Output;
use crate::TaskRecord;

/// The process that tokio holds, about which there is nothing more to know here.
pub(super) struct Family;

impl Family {
    pub(super) fn spawn(
        command: Command,
        _: &Arc<Shared>,
        _: PathBuf,
        _: &Arc<TaskRecord>,
        log: LogDrain,
    ) -> io::Result<(Process, Output, Self)> {
        let (process, output) = Output::spawn(command.into(), log)?;
        Ok((process, output, Self))
    }

    pub(super) fn signal(&self, _: Signal) {}

    pub(super) async fn end(&mut self) -> usize {
        0
    }

    pub(super) fn killed_for_memory(&self) -> Option<bool> {
        None
    }
}

/// There is nothing to be done before the first task.
pub(super) fn prepare(_: &Shared, _: &TemporaryStorage) -> io::Result<()> {
    Ok(())
}
