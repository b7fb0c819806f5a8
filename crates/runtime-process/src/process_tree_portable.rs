//! The process of a command on systems without process groups: only that process can be killed.

use std::io;
use std::process::Command;

pub(crate) use tokio::process::Child as ChildProcess;

use crate::kill_sequence::KillSignal;
use crate::output::OutputPump;
use crate::task::PreparedTask;

/// The counterpart of the process tree of Unix. The child process itself is killed through its handle.
pub(crate) struct ProcessTree;

impl ProcessTree {
    pub(crate) fn spawn(
        command: Command,
        task: &PreparedTask,
    ) -> io::Result<(Self, ChildProcess, OutputPump)> {
        let (child, output) = OutputPump::spawn(command.into(), task.context.log_drain())?;
        Ok((Self, child, output))
    }

    pub(crate) fn signal(&self, _: KillSignal) {}

    pub(crate) async fn kill_remaining(&mut self) -> usize {
        0
    }

    pub(crate) fn oom_explanation(&self) -> Option<&'static str> {
        None
    }
}
