//! The start of commands, without blocking tokio.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::child::SandboxChild;
use crate::clone::NOT_EXECUTED;
use crate::closed_addresses::close_addresses;
use crate::command::SandboxCommand;
use crate::error::{SpawnError, SpawnStep, outbound_failed, prepare};
use crate::grouped_start;
use crate::isolation::{Isolation, Wall};
use crate::outbound::OutboundNetwork;
use crate::plan::PlannedSteps;
use crate::start::{self, Started, decode_failure};

impl SandboxCommand {
    /// Starts the command. Returns when its program runs.
    ///
    /// This blocks no thread of tokio, and does not copy the worker's memory. If the program's file system hangs, the
    /// future waits; dropping the future ends the start.
    ///
    /// # Errors
    ///
    /// A wall that this machine cannot have, an invalid path, or a program that cannot be executed. No processes are
    /// left.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, the command is killed or not started.
    pub async fn spawn(self) -> Result<SandboxChild, SpawnError> {
        let isolation = self.isolation.clone();
        let command = Arc::new(self);
        let error = match SandboxChild::spawn(Arc::clone(&command), isolation.clone()).await {
            Err(error) if isolation.best_effort => error,
            result => return result,
        };
        let mut available = isolation.clone();
        let mut missing_walls = Vec::new();
        // Each wall alone, since a failed start names only the first that is missing.
        for wall in Wall::ALL {
            if isolation.has(wall) && SandboxChild::probe(wall).await.is_err() {
                available = available.without(wall);
                missing_walls.push(wall);
            }
        }
        if missing_walls.is_empty() {
            return Err(error);
        }
        let mut child = SandboxChild::spawn(command, available).await?;
        child.missing_walls = missing_walls;
        Ok(child)
    }
}

impl SandboxCommand {
    /// Performs all steps of a start except for the execution of the program: joins the control group, raises the walls
    /// and enters the working directory.
    ///
    /// Call it when the worker starts, so that the worker does not start if its commands would fail.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn), but regardless of [`Isolation::best_effort`](crate::Isolation::best_effort).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn check(mut self) -> Result<(), SpawnError> {
        self.is_probe = true;
        let isolation = self.isolation.clone();
        let mut child = SandboxChild::spawn(Arc::new(self), isolation).await?;
        child.wait().await.map(drop).map_err(prepare)
    }
}

impl SandboxChild {
    /// Starts a command behind all walls. The wall `Network` is a filter if its namespace is not allowed.
    async fn spawn(command: Arc<SandboxCommand>, isolation: Isolation) -> Result<Self, SpawnError> {
        let started = Self::spawn_with(Arc::clone(&command), isolation.clone()).await;
        let lacks_namespace = match &started {
            Err(SpawnError::Step { step, .. }) => {
                let steps = [SpawnStep::Clone, SpawnStep::NetworkNamespace];
                // The filter refuses all sockets of the network, which these features need inside.
                let can_filter = command.ports.is_empty() && !isolation.has_outbound();
                steps.contains(step) && isolation.has_network_namespace() && can_filter
            }
            _ => false,
        };
        // The clone may have failed for another reason, such as a limit of processes. So the
        // namespace is tried alone.
        if !lacks_namespace
            || Self::probe_with(Isolation::none().with(Wall::Network))
                .await
                .is_ok()
        {
            return started;
        }
        Self::spawn_with(command, isolation.filter_sockets()).await
    }

    async fn spawn_with(
        command: Arc<SandboxCommand>,
        isolation: Isolation,
    ) -> Result<Self, SpawnError> {
        let program = PathBuf::from(&command.program);
        let network = (command.ports.len(), isolation.has_outbound());
        let start = move || grouped_start::start(&command, isolation);
        Self::start(program, start, network).await
    }

    /// Raises a wall around a process that ends at once. Returns the isolation with which this succeeded.
    pub(crate) async fn probe(wall: Wall) -> Result<Isolation, SpawnError> {
        let mut isolation = Isolation::none().with(wall);
        // The view of the files contains a `/proc`, which is that of a process namespace.
        if wall == Wall::Files {
            isolation = isolation.with(Wall::Processes);
        }
        let error = match Self::probe_with(isolation.clone()).await {
            Ok(()) => return Ok(isolation),
            Err(error) => error,
        };
        if wall == Wall::Network {
            isolation = isolation.filter_sockets();
            if Self::probe_with(isolation.clone()).await.is_ok() {
                return Ok(isolation);
            }
        }
        Err(error)
    }

    /// Raises walls around a process that ends at once.
    pub(crate) async fn probe_with(isolation: Isolation) -> Result<(), SpawnError> {
        let mut command = SandboxCommand::new("");
        command.is_probe = true;
        // Dropping the child reaps it.
        Self::spawn_with(Arc::new(command), isolation)
            .await
            .map(drop)
    }

    async fn start(
        program: PathBuf,
        start: impl FnOnce() -> Result<Started, SpawnError> + Send + 'static,
        (ports, has_outbound): (usize, bool),
    ) -> Result<Self, SpawnError> {
        // Not on a thread of tokio, because the paths of the view may be on a file system that hangs.
        let started = tokio::task::spawn_blocking(start).await;
        let started = started.map_err(|error| prepare(error.into()))??;
        let (mut child, failure, steps) = Self::new(started).map_err(prepare)?;
        child.receive_listeners(ports).await.map_err(prepare)?;
        if has_outbound
            && let Some((process, policies)) = child.receive_policies().await.map_err(prepare)?
        {
            close_addresses(policies).map_err(outbound_failed)?;
            let has_user_namespace = child.walls.user_mode.user_namespace;
            let cgroup = child.cgroup.as_ref();
            let network = OutboundNetwork::connect(process, has_user_namespace, cgroup).await?;
            match child.set_network(network) {
                // The first process has ended, and has reported the reason.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                set => set.map_err(prepare)?,
            }
        }
        match read_failure(failure).await.map_err(prepare)? {
            None => Ok(child),
            Some(failure) => {
                // The process has reported its failure.
                child.wait().await.map_err(prepare)?;
                Err(explain(failure, &steps, program))
            }
        }
    }

    /// Starts another command inside the same walls and control group, such as a shell.
    ///
    /// Of the other command, the isolation, the user and the limits of all processes together are ignored, and its exit
    /// has no counts of the group. It ends together with this command, as do the processes that it left in the
    /// background.
    ///
    /// # Errors
    ///
    /// As for [`SandboxCommand::spawn`]. The step is [`SpawnStep::Enter`] if this command has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, the command is killed or not started.
    pub async fn exec(&self, command: SandboxCommand) -> Result<Self, SpawnError> {
        let program = PathBuf::from(&command.program);
        let walls = self.walls.clone();
        let cgroup = self.cgroup.clone();
        let unknown = io::Error::from(io::ErrorKind::Unsupported);
        let pidfd = self.ended.as_ref().ok_or(unknown).map_err(prepare)?;
        let pidfd = pidfd.get_ref().try_clone().map_err(prepare)?;
        let start = move || start::start_inside(&command, walls, &pidfd, cgroup.as_deref());
        Self::start(program, start, (0, false)).await
    }
}

/// Reads the failure of an operation. Returns `None` if the command was executed.
async fn read_failure(mut failure: pipe::Receiver) -> io::Result<Option<(u32, io::Error)>> {
    let mut message = [0; 8];
    match failure.read_exact(&mut message).await {
        Ok(_) => Ok(decode_failure(&message)),
        // The pipe is closed by the execution of the program.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn explain(
    (operation, source): (u32, io::Error),
    steps: &PlannedSteps,
    program: PathBuf,
) -> SpawnError {
    if operation == NOT_EXECUTED {
        let (step, path) = (SpawnStep::Init, None);
        return SpawnError::Step { step, path, source };
    }
    match steps.of(operation) {
        Some(planned) if planned.step != SpawnStep::Execute => SpawnError::Step {
            step: planned.step,
            path: planned.path.clone(),
            source,
        },
        _ => SpawnError::Execute { program, source },
    }
}
