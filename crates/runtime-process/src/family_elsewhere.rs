//! A command where there are no process groups: only the process itself can be ended.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use runtime_core::{LogDrain, TemporaryStorage};
use runtime_worker::TaskRecord;
pub(crate) use tokio::process::Child as Process;

use crate::engine::Shared;
use crate::ladder::Signal;
use crate::output::Output;

/// The process that tokio holds, about which there is nothing more to know here.
pub(crate) struct Family;

impl Family {
    pub(crate) fn spawn(
        command: Command,
        _: &Arc<Shared>,
        _: PathBuf,
        _: &Arc<TaskRecord>,
        log: LogDrain,
    ) -> io::Result<(Process, Output, Self)> {
        let (process, output) = Output::spawn(command.into(), log)?;
        Ok((process, output, Self))
    }

    pub(crate) fn signal(&self, _: Signal) {}

    pub(crate) async fn end(&mut self) -> usize {
        0
    }

    pub(crate) fn killed_for_memory(&self) -> Option<bool> {
        None
    }
}

/// There is nothing to be done before the first task.
pub(crate) fn prepare(_: &Shared, _: &TemporaryStorage) -> io::Result<()> {
    Ok(())
}
