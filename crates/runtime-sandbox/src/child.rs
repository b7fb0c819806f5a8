//! A command that runs in a sandbox.

use std::any::Any;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recv, recvmsg, send,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cgroup::{Cgroup, CgroupUsage};
use crate::isolation::Wall;
use crate::plan::PlannedSteps;
use crate::process::{InitProcess, SandboxUsage};
use crate::start::Started;
use crate::sys;
use crate::terminal::SandboxTerminal;
use crate::user_mode::RaisedWalls;

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
    /// The counts of the control group. Empty without a group.
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
    /// The listeners on ports of the sandbox, in the order of [`SandboxCommand::listen`](crate::SandboxCommand::listen).
    pub listeners: Vec<TcpListener>,
    /// Connects the sandbox's network to that of the machine. Ends with the command.
    network: Option<Box<dyn Any + Send + Sync>>,
    process: InitProcess,
    /// Readable when the init process has ended. Missing under emulators that do not have process descriptors.
    pub(crate) ended: Option<AsyncFd<OwnedFd>>,
    control: UnixStream,
    /// The wait status of the command, once it was received.
    received: Option<ExitStatus>,
    /// The end of the init process.
    reaped: Option<(ExitStatus, SandboxUsage)>,
    pub(crate) cgroup: Option<Arc<Cgroup>>,
    /// Ends and removes the control group, and returns its counts.
    account: Option<JoinHandle<CgroupUsage>>,
    missing_limits: Vec<&'static str>,
    exit: Option<SandboxExit>,
    pub(crate) missing_walls: Vec<Wall>,
    pub(crate) walls: RaisedWalls,
}

impl SandboxChild {
    /// Takes over a process whose start may still fail.
    pub(crate) fn new(started: Started) -> io::Result<(Self, pipe::Receiver, PlannedSteps)> {
        let [stdin, stdout, stderr] = started.streams;
        let failure = pipe::Receiver::from_owned_fd(started.failure)?;
        started.control.set_nonblocking(true)?;
        let child = Self {
            stdin: stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            stdout: stdout.map(pipe::Receiver::from_owned_fd).transpose()?,
            stderr: stderr.map(pipe::Receiver::from_owned_fd).transpose()?,
            terminal: started.terminal.map(SandboxTerminal::new).transpose()?,
            listeners: Vec::new(),
            network: None,
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

    /// Receives the listeners on ports of the sandbox. Returns early if the init process has ended, which then reports
    /// another failure.
    pub(crate) async fn receive_listeners(&mut self, count: usize) -> io::Result<()> {
        while self.listeners.len() < count {
            let Some(listener) = receive_descriptor(&self.control).await? else {
                break;
            };
            let listener = std::net::TcpListener::from(listener);
            listener.set_nonblocking(true)?;
            self.listeners.push(TcpListener::from_std(listener)?);
        }
        Ok(())
    }

    /// Receives the socket for policies of the network from the init process, which then waits. Returns the id of the
    /// process and the socket, or `None` if the process has ended.
    pub(crate) async fn receive_policies(&self) -> io::Result<Option<(Pid, OwnedFd)>> {
        let socket = receive_descriptor(&self.control).await?;
        Ok(socket.map(|socket| (self.process.pid(), socket)))
    }

    /// Lets the init process continue with a network, which ends with the command.
    pub(crate) fn set_network(&mut self, network: impl Any + Send + Sync) -> io::Result<()> {
        self.network = Some(Box::new(network));
        send(&self.control, &[0], SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Returns the user id of the command, if the worker is root and the wall [`User`](Wall::User) was requested
    /// without an explicit user.
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

    /// Returns the requested walls that are missing, because this machine cannot have them. There are such walls only
    /// with [`Isolation::best_effort`](crate::Isolation::best_effort).
    pub fn missing_walls(&self) -> &[Wall] {
        &self.missing_walls
    }

    /// Returns the requested limits that are missing, such as `memory`, because this machine cannot have them. There
    /// are such limits only with [`Limits::best_effort`](crate::Limits::best_effort).
    pub fn missing_limits(&self) -> &[&'static str] {
        &self.missing_limits
    }

    /// Returns the control group of the command. `None` without a group, and after [`wait`](Self::wait) has removed it.
    ///
    /// Its [`usage`](Cgroup::usage) returns the current usage of resources. A clone of the group delays its removal.
    ///
    /// ```
    /// # #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use runtime_sandbox::{Limits, SandboxCommand};
    /// use tokio::time::timeout;
    ///
    /// let limits = Limits::new().memory(512 << 20);
    /// # let limits = limits.best_effort();
    /// let mut child = SandboxCommand::new("sleep").arg("0.1").limits(limits).spawn().await?;
    /// let mut curve = Vec::new();
    /// while timeout(Duration::from_millis(20), child.wait()).await.is_err() {
    ///     if let Some(group) = child.cgroup() {
    ///         let usage = group.usage();
    ///         curve.push((usage.memory, usage.memory_pressure));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    /// # fn main() {}
    /// ```
    pub fn cgroup(&self) -> Option<&Arc<Cgroup>> {
        self.cgroup.as_ref()
    }

    /// Waits until the command has ended, ends all other processes of the sandbox, and returns the exit of the command.
    ///
    /// If the standard input is a pipe, it is closed first. Further calls return the same exit.
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
        self.network = None;
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
    /// An invalid signal, or more unread signals than the kernel buffers. If the command has ended, this returns no
    /// error.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = u8::try_from(signal).ok().filter(|it| (1..=64).contains(it));
        let signal = signal.ok_or(io::ErrorKind::InvalidInput)?;
        match send(&self.control, &[signal], SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends `SIGTERM` to the command, and kills the remaining processes after `grace`.
    ///
    /// With a grace period of zero, all processes are killed at once.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the command may have received `SIGTERM`, but its processes are not killed.
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
                // The reap above is tried before each wait. An end in between makes the descriptor
                // readable, so it is not missed.
                Some(ended) => ended.readable().await?.clear_ready(),
                None => sleep(REAP_INTERVAL).await,
            }
        }
    }

    /// Ends and removes the control group, and returns its counts.
    async fn end_cgroup(&mut self) -> CgroupUsage {
        if let Some(cgroup) = self.cgroup.take() {
            let account = move || {
                cgroup.end();
                cgroup.final_usage()
            };
            self.account = Some(tokio::task::spawn_blocking(account));
        }
        // Kept in `self`: if this future is dropped, the next `wait` continues with the same
        // thread.
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
        // The status is sent only once, and an earlier call, whose future was dropped, may have received it.
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
    // A process descriptor and not `SIGCHLD`, whose handler the whole program shares: another
    // library could replace it.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => sys::register(process, Interest::READABLE).map(Some),
        Err(Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Receives a descriptor that the init process has sent. `None` if it has ended.
async fn receive_descriptor(control: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let receive = || {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        // Close-on-exec from the start: between the receipt and a later call, another thread may
        // start a process.
        recvmsg(control, buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut received = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        Ok(received.next())
    };
    control.async_io(Interest::READABLE, receive).await
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
