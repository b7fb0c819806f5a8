//! A command that runs in a sandbox.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cgroup::{Cgroup, CgroupUsage};
use crate::clone::NOT_EXECUTED;
use crate::command::SandboxCommand;
use crate::error::{SpawnError, SpawnStep};
use crate::identity::RaisedWalls;
use crate::isolation::{Isolation, Wall};
use crate::plan::PlannedSteps;
use crate::process::{InitProcess, SandboxUsage};
use crate::start::{self, Started, decode_failure};
use crate::sys;
use crate::terminal::SandboxTerminal;

/// The time between two checks whether killed processes have ended, if no process namespace ends them.
const REAP_INTERVAL: Duration = Duration::from_millis(1);

/// The end of a command.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SandboxExit {
    /// The exit status of the command.
    pub status: ExitStatus,
    /// The resources that the command and its processes used.
    pub usage: SandboxUsage,
    /// What the control group counted. Empty if the command has none.
    pub cgroup: CgroupUsage,
}

/// A command that runs in a sandbox.
///
/// When it is dropped, all processes of the sandbox are killed.
#[derive(Debug)]
pub struct SandboxChild {
    /// The writing end of the standard input, if it is a pipe.
    pub stdin: Option<pipe::Sender>,
    /// The reading end of the standard output, if it is a pipe.
    pub stdout: Option<pipe::Receiver>,
    /// The reading end of the standard error, if it is a pipe.
    pub stderr: Option<pipe::Receiver>,
    /// The worker's side of the terminal, if the command has one.
    pub terminal: Option<SandboxTerminal>,
    process: InitProcess,
    /// Readable when the init process has ended. Missing under emulators that do not have process descriptors.
    ended: Option<AsyncFd<OwnedFd>>,
    control: UnixStream,
    /// The wait status of the command, once it was received.
    received: Option<ExitStatus>,
    /// The end of the init process.
    reaped: Option<(ExitStatus, SandboxUsage)>,
    cgroup: Option<Arc<Cgroup>>,
    /// Ends and removes the control group, and returns what it counted.
    account: Option<JoinHandle<CgroupUsage>>,
    missing_limits: Vec<&'static str>,
    exit: Option<SandboxExit>,
    missing_walls: Vec<Wall>,
    walls: RaisedWalls,
}

impl SandboxCommand {
    /// Starts the command. Returns when its program runs.
    ///
    /// Neither waits on a thread of the runtime nor copies the worker's memory. If the program's file system hangs,
    /// this future waits, and dropping it ends the start.
    ///
    /// # Errors
    ///
    /// A wall that this machine cannot have, an invalid path, or a program that cannot be executed. Nothing is left.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, the command is killed or not started.
    pub async fn spawn(self) -> Result<SandboxChild, SpawnError> {
        let mut isolation = self.isolation.clone();
        let command = Arc::new(self);
        let error = match SandboxChild::spawn(Arc::clone(&command), isolation.clone()).await {
            Err(error) if isolation.best_effort => error,
            result => return result,
        };
        let mut missing_walls = Vec::new();
        for wall in Wall::ALL {
            if isolation.has(wall) && SandboxChild::probe(wall).await.is_err() {
                isolation = isolation.without(wall);
                missing_walls.push(wall);
            }
        }
        if missing_walls.is_empty() {
            return Err(error);
        }
        let mut child = SandboxChild::spawn(command, isolation).await?;
        child.missing_walls = missing_walls;
        Ok(child)
    }
}

impl SandboxCommand {
    /// Starts everything but the program: joins the control group, raises the walls and enters the working directory.
    ///
    /// For the start of a worker, which should fail instead of each of its commands.
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
    async fn spawn(command: Arc<SandboxCommand>, isolation: Isolation) -> Result<Self, SpawnError> {
        let program = PathBuf::from(&command.program);
        Self::start(program, move || start::start(&command, isolation)).await
    }

    /// Raises a wall around a process that ends at once.
    pub(crate) async fn probe(wall: Wall) -> Result<(), SpawnError> {
        let mut isolation = Isolation::none().with(wall);
        if wall == Wall::Files {
            isolation = isolation.with(Wall::Processes);
        }
        let mut command = SandboxCommand::new("");
        command.is_probe = true;
        // Dropping the child reaps it.
        Self::spawn(Arc::new(command), isolation).await.map(drop)
    }

    async fn start(
        program: PathBuf,
        start: impl FnOnce() -> Result<Started, SpawnError> + Send + 'static,
    ) -> Result<Self, SpawnError> {
        // Not on a thread of the runtime, since the paths of the view may be on a file system that hangs.
        let started = tokio::task::spawn_blocking(start).await;
        let started = started.map_err(|error| prepare(error.into()))??;
        let (mut child, failure, steps) = Self::new(started).map_err(prepare)?;
        match read_failure(failure).await.map_err(prepare)? {
            None => Ok(child),
            Some(failure) => {
                // The process has reported its last words.
                child.wait().await.map_err(prepare)?;
                Err(explain(failure, &steps, program))
            }
        }
    }

    fn new(started: Started) -> io::Result<(Self, pipe::Receiver, PlannedSteps)> {
        let [stdin, stdout, stderr] = started.streams;
        let failure = pipe::Receiver::from_owned_fd(started.failure)?;
        started.control.set_nonblocking(true)?;
        let child = Self {
            stdin: stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            stdout: stdout.map(pipe::Receiver::from_owned_fd).transpose()?,
            stderr: stderr.map(pipe::Receiver::from_owned_fd).transpose()?,
            terminal: started.terminal.map(SandboxTerminal::new).transpose()?,
            ended: watch(started.process.pid())?,
            process: started.process,
            control: UnixStream::from_std(started.control)?,
            received: None,
            reaped: None,
            missing_limits: (started.cgroup.as_ref())
                .map_or_else(Vec::new, |it| it.missing_limits().to_vec()),
            cgroup: started.cgroup,
            account: None,
            exit: None,
            missing_walls: Vec::new(),
            walls: started.walls,
        };
        Ok((child, failure, started.steps))
    }

    /// Starts another command inside the same walls and control group, such as a shell.
    ///
    /// The isolation, the user, and the limits of all processes together are ignored, and its exit has no account of the
    /// group. It ends with this command, and processes that it leaves in the background end then, too.
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
        Self::start(program, start).await
    }

    /// Returns the id of the user that the command runs as, if the worker is root and the wall
    /// [`User`](Wall::User) was asked for without a certain user.
    pub fn user(&self) -> Option<u32> {
        self.process.user()
    }

    /// Returns the id of the sandbox's first process, on the machine. `None` after the end.
    ///
    /// It is the parent of the command.
    pub fn id(&self) -> Option<u32> {
        let pid = self.process.pid().as_raw_nonzero().get();
        self.exit.is_none().then_some(pid.cast_unsigned())
    }

    /// Returns the id of the command's process, on the machine. `None` after its end.
    pub fn command_id(&self) -> Option<u32> {
        if self.exit.is_some() {
            return None;
        }
        let pid = self.process.first_child()?;
        Some(pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Returns the walls that were asked for with [`Isolation::best_effort`](crate::Isolation::best_effort) and that
    /// this machine cannot have.
    pub fn missing_walls(&self) -> &[Wall] {
        &self.missing_walls
    }

    /// Returns the limits that were asked for with [`Limits::best_effort`](crate::Limits::best_effort) and that this
    /// machine cannot have, such as `memory`.
    pub fn missing_limits(&self) -> &[&'static str] {
        &self.missing_limits
    }

    /// Waits until the command has ended, ends all other processes of the sandbox, and returns how it ended.
    ///
    /// The standard input is closed first if it is a pipe. A command that ended before is reported again.
    ///
    /// # Errors
    ///
    /// An error of the operating system, for example if another part of the program reaped the process.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call continues to wait.
    pub async fn wait(&mut self) -> io::Result<SandboxExit> {
        self.stdin = None;
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let (init_status, usage) = match self.reaped {
            Some(reaped) => reaped,
            None => self.reap().await?,
        };
        self.reaped = Some((init_status, usage));
        let cgroup = self.end_cgroup().await;
        // Before its end, the init process has reported how the command ended, unless it was killed itself.
        self.receive_status();
        let status = self.received.unwrap_or(init_status);
        let exit = SandboxExit {
            status,
            usage,
            cgroup,
        };
        self.exit = Some(exit);
        Ok(exit)
    }

    /// Sends a signal, such as 15 for `SIGTERM`, to the process group of the command.
    ///
    /// # Errors
    ///
    /// An invalid signal, or more unread signals than the kernel buffers. A command that has ended is no error.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = u8::try_from(signal).ok().filter(|it| (1..=64).contains(it));
        let signal = signal.ok_or(io::ErrorKind::InvalidInput)?;
        match send(&self.control, &[signal], SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends `SIGTERM` to the command, and kills everything that is left after `grace`.
    ///
    /// With a grace period of zero, everything is killed at once.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the command may have received `SIGTERM` only.
    pub async fn kill(&mut self, grace: Duration) -> io::Result<SandboxExit> {
        if !grace.is_zero() {
            self.signal(libc::SIGTERM)?;
            if let Ok(exit) = timeout(grace, self.wait()).await {
                return exit;
            }
        }
        if self.exit.is_none() {
            self.process.kill();
        }
        self.wait().await
    }

    /// Waits until the command and its processes have ended, and reaps the init process.
    async fn reap(&mut self) -> io::Result<(ExitStatus, SandboxUsage)> {
        if !self.process.owns_namespace() {
            self.wait_for_status().await;
            self.end_descendants().await;
        }
        loop {
            if let Some(reaped) = self.process.try_reap()? {
                return Ok(reaped);
            }
            match &self.ended {
                Some(ended) => ended.readable().await?.clear_ready(),
                None => sleep(REAP_INTERVAL).await,
            }
        }
    }

    /// Ends and removes the control group, and returns what it counted.
    async fn end_cgroup(&mut self) -> CgroupUsage {
        if let Some(cgroup) = self.cgroup.take() {
            let account = move || {
                cgroup.end();
                cgroup.usage()
            };
            self.account = Some(tokio::task::spawn_blocking(account));
        }
        let Some(account) = &mut self.account else {
            return CgroupUsage::default();
        };
        // The only possible error is a panic of the closure.
        let usage = account.await.unwrap_or_default();
        self.account = None;
        usage
    }

    /// Waits until the wait status of the command was sent, or the init process has ended.
    async fn wait_for_status(&mut self) {
        // It is sent only once, and a wait before this one may have been dropped after that.
        if self.received.is_some() {
            return;
        }
        let control = &self.control;
        let received = control.async_io(Interest::READABLE, || read_status(control));
        self.received = received.await.ok();
    }

    /// Reads the wait status of the command, if it was sent.
    ///
    /// Not with `try_read`, which fails as long as the runtime has not received the event of the stream.
    fn receive_status(&mut self) {
        self.received = self.received.or_else(|| read_status(&self.control).ok());
    }

    /// Kills the processes that the command left, and lets the init process end.
    async fn end_descendants(&mut self) {
        while !self.process.kill() {
            sleep(REAP_INTERVAL).await;
        }
    }
}

/// Opens a process, to wait for its end.
fn watch(pid: Pid) -> io::Result<Option<AsyncFd<OwnedFd>>> {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => sys::register(process, Interest::READABLE).map(Some),
        Err(Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the wait status that the init process sends when the command has ended.
fn read_status(control: &UnixStream) -> io::Result<ExitStatus> {
    let mut status = [0; 4];
    let (len, _) = recv(control, &mut status, RecvFlags::empty())?;
    if len < status.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(ExitStatus::from_raw(i32::from_ne_bytes(status)))
}

/// Reads the failure of an operation. Returns `None` if the command was executed.
async fn read_failure(mut failure: pipe::Receiver) -> io::Result<Option<(u32, io::Error)>> {
    let mut message = [0; 8];
    match failure.read_exact(&mut message).await {
        Ok(_) => Ok(decode_failure(&message)),
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

fn prepare(source: io::Error) -> SpawnError {
    let (step, path) = (SpawnStep::Prepare, None);
    SpawnError::Step { step, path, source }
}
