//! The process of a command on systems without process groups: only that process can be killed.

use std::io;
use std::process::ExitStatus;

use runtime_worker::Exit;
use runtime_worker::report::UsageSample;

use crate::companions::Companion;
use crate::kill_sequence::KillSignal;
use crate::output::OutputPump;
use crate::start_error::StartError;
use crate::task::PreparedCommand;
use crate::walled_command::ExecRequest;

/// The process of a command. It is killed on drop, and reaped by tokio.
pub(crate) struct ChildProcess(tokio::process::Child);

impl ChildProcess {
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.0.kill().await
    }

    pub(crate) fn reap(&mut self) {}
}

/// Has no effect, because a start cannot be ended on this system.
#[derive(Debug, Default)]
pub(crate) struct StartCanceller;

impl StartCanceller {
    pub(crate) fn cancel(&self) {}
}

/// The processes that were killed after the end of a command: none.
#[derive(Debug, Default)]
pub(crate) struct KilledOrphans {
    pub(crate) killed: usize,
    pub(crate) remaining: usize,
}

/// The counterpart of the process tree of Unix. The child process itself is killed through its handle.
pub(crate) struct ProcessTree;

impl ProcessTree {
    pub(crate) fn spawn(
        command: PreparedCommand,
        _: &StartCanceller,
    ) -> Result<(Self, ChildProcess, OutputPump), StartError> {
        let started = OutputPump::spawn(command.command.into(), command.log);
        let (child, output) = started.map_err(StartError::execute)?;
        Ok((Self, ChildProcess(child), output))
    }

    pub(crate) async fn exec(&self, request: ExecRequest, _: Companion) {
        match request {}
    }

    pub(crate) fn signal(&self, _: KillSignal) {}

    pub(crate) async fn kill_remaining(&mut self, _: Vec<UsageSample>) -> KilledOrphans {
        KilledOrphans::default()
    }

    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        &[]
    }

    pub(crate) fn explain_failure(&self, _: Exit) -> Vec<String> {
        Vec::new()
    }
}
