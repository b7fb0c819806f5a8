//! The processes of a command, without and behind walls.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;

use runtime_worker::Exit;
use runtime_worker::report::UsageSample;

use crate::companions::Companion;
use crate::engine_state::EngineState;
use crate::kill_sequence::KillSignal;
use crate::memory_watch::WatchedCommandGuard;
use crate::output::OutputPump;
use crate::process_tree::{ChildProcess, KilledOrphans, ProcessTree, StartCanceller};
use crate::start_error::StartError;
use crate::task::PreparedCommand;
use crate::walled_command::{ExecRequest, WalledCommand};

/// The processes of a running command. All are killed when this is dropped.
pub(crate) enum CommandProcesses {
    /// Processes of the worker's user. The engine searches the remaining ones when the command ends.
    Tracked {
        // Declared before `child`, so that it is dropped first: until the leader is reaped, the kernel does not reuse
        // its process group id for other processes.
        tree: Box<ProcessTree>,
        child: ChildProcess,
    },
    Walled(Box<WalledCommand>),
}

impl CommandProcesses {
    /// Starts a command, behind walls if its task is isolated. Returns when its program runs.
    ///
    /// # Cancel safety
    ///
    /// Without walls, the start continues on its thread if the future is dropped. `control` ends it.
    pub(crate) async fn start(
        command: PreparedCommand,
        control: Arc<StartCanceller>,
    ) -> Result<(Self, OutputPump), StartError> {
        if let Some(walls) = command.walls.clone() {
            let (command, output) = WalledCommand::start(command, &walls).await?;
            return Ok((Self::Walled(Box::new(command)), output));
        }
        let threads = command.engine.threads.clone();
        let start = move || ProcessTree::spawn(command, &control);
        // The only possible error is a panic of the closure.
        let started = threads.run(start).await;
        let started = started.unwrap_or_else(|panic| Err(StartError::prepare(panic.into())));
        let (tree, child, output) = started?;
        let tree = Box::new(tree);
        Ok((Self::Tracked { tree, child }, output))
    }

    /// Starts another command behind the walls and in the control group of this one within a time.
    pub(crate) async fn exec(&self, request: ExecRequest, companion: Companion) {
        match self {
            Self::Tracked { tree, .. } => tree.exec(request, companion).await,
            Self::Walled(command) => command.exec(request, companion).await,
        }
    }

    pub(crate) fn signal(&self, signal: KillSignal) {
        match self {
            Self::Tracked { tree, .. } => tree.signal(signal),
            Self::Walled(command) => command.signal(signal),
        }
    }

    /// Waits until the command has ended. Its other processes may still run.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Tracked { child, .. } => child.wait().await,
            Self::Walled(command) => command.wait().await,
        }
    }

    /// Kills the command and waits for its end.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        match self {
            Self::Tracked { tree, child } => {
                tree.signal(KillSignal::Kill);
                child.kill().await
            }
            Self::Walled(command) => command.kill().await,
        }
    }

    /// Watches the usage of the command. If `is_ended`, the command may be ended when memory is low.
    #[cfg(target_os = "linux")]
    pub(crate) fn watch(&self, engine: &EngineState, is_ended: bool) -> WatchedCommandGuard {
        let meter = match self {
            Self::Tracked { tree, .. } => tree.meter(),
            Self::Walled(command) => command.meter(),
        };
        engine.running.watch(meter, is_ended)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn watch(&self, _: &EngineState, _: bool) -> WatchedCommandGuard {
        WatchedCommandGuard
    }

    /// Ends the processes that the command left running, and reports the usage of all processes with the samples. Call
    /// it when the command has ended.
    pub(crate) async fn kill_remaining(&mut self, samples: Vec<UsageSample>) -> KilledOrphans {
        match self {
            Self::Tracked { tree, child } => {
                let killed = tree.kill_remaining(samples).await;
                child.reap();
                killed
            }
            Self::Walled(command) => {
                // The kernel has ended all others.
                command.report_usage(samples);
                KilledOrphans::default()
            }
        }
    }

    /// Returns the missing limits, which best effort permits.
    pub(crate) fn missing_limits(&self) -> &[&'static str] {
        match self {
            Self::Tracked { tree, .. } => tree.missing_limits(),
            Self::Walled(command) => command.missing_limits(),
        }
    }

    /// Returns explanations for the log of a command that failed: the limits that it reached.
    pub(crate) fn explain_failure(&self, exit: Exit) -> Vec<String> {
        match self {
            Self::Tracked { tree, .. } => tree.explain_failure(exit),
            Self::Walled(command) => command.explain_failure(exit),
        }
    }
}
