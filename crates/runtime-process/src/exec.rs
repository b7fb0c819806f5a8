//! Further commands in a running task.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use runtime_core::{BoxError, TaskError};
use runtime_sandbox::{
    Isolation, SandboxChild, SandboxCommand, SandboxTerminal, StdStream, TerminalSize,
};
use runtime_worker::{ExecCommand, ExecControl, ExecError, ExecProcess, Exit, PtySize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine_state::EngineState;
use crate::limits::TaskLimits;
use crate::marks::{CommandMark, TASK_VARIABLE};
use crate::running_command::exit_of;
use crate::task::PreparedTask;
use crate::walled_command::{ExecRequest, INIT_PROCESSES};

/// The folder, variables and limits of further commands of a task.
pub(crate) struct ExecContext {
    folder: PathBuf,
    env: BTreeMap<String, String>,
    limits: TaskLimits,
    engine: Arc<EngineState>,
    /// Starts commands behind the walls of the running command; `None` without walls.
    requests: Option<mpsc::Sender<ExecRequest>>,
}

impl ExecContext {
    /// Creates the context, and the receiver of requests for the running command.
    pub(crate) fn of(task: &PreparedTask) -> (Self, mpsc::Receiver<ExecRequest>) {
        let (requests, receiver) = mpsc::channel(1);
        let context = Self {
            folder: task.folder.path().to_owned(),
            env: task.env.clone(),
            limits: task.limits,
            engine: Arc::clone(&task.engine),
            requests: task.walls.is_some().then_some(requests),
        };
        (context, receiver)
    }

    /// Starts a command, which ends when `task_ended` returns.
    pub(crate) async fn start(
        &self,
        command: ExecCommand,
        task_ended: impl Future<Output = ()> + Send + 'static,
    ) -> Result<ExecProcess, ExecError> {
        let program = command.command.first().cloned().unwrap_or_default();
        let ended = || ExecError::Ended {
            program: program.clone(),
        };
        let sandbox = self.sandbox_command(&command);
        let started = match &self.requests {
            // Only the running command can let others in.
            Some(requests) => {
                let (reply, answer) = oneshot::channel();
                let command = sandbox;
                let request = ExecRequest { command, reply };
                requests.send(request).await.map_err(|_| ended())?;
                answer.await.map_err(|_| ended())?
            }
            None => {
                let limits = self.limits.of_group(INIT_PROCESSES);
                let sandbox = sandbox.isolation(Isolation::none()).limits(limits);
                let spawned = sandbox.cgroup_parents(&self.engine.cgroups).spawn().await;
                spawned.map_err(BoxError::from)
            }
        };
        let child = started.map_err(|source| ExecError::Start {
            program: program.clone(),
            source,
        })?;
        Ok(attend(child, task_ended))
    }

    fn sandbox_command(&self, command: &ExecCommand) -> SandboxCommand {
        let (program, arguments) = match command.command.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("", [].as_slice()),
        };
        let mut sandbox = SandboxCommand::new(program)
            .args(arguments)
            .current_dir(&self.folder);
        for (name, value) in &self.env {
            sandbox = sandbox.env(name, value);
        }
        let mark = CommandMark::new(self.engine.orphans.owner(), &self.folder);
        sandbox = sandbox.env(TASK_VARIABLE, &mark.variable);
        match command.terminal {
            Some(size) => sandbox.terminal(terminal_size(size)),
            None => sandbox
                .stdin(StdStream::Pipe)
                .stdout(StdStream::Pipe)
                .stderr(StdStream::Pipe),
        }
    }
}

/// Takes over a command, and ends it with the task.
fn attend(
    mut child: SandboxChild,
    task_ended: impl Future<Output = ()> + Send + 'static,
) -> ExecProcess {
    let terminal = child.terminal.take().map(SharedTerminal::new);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (sender, exit) = watch::channel(None);
    let attendant = tokio::spawn(async move {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = task_ended => child.kill(Duration::ZERO).await,
        };
        let ended = ended.map(|exit| exit_of(exit.status));
        sender.send_replace(Some(ended.map_err(|error| error.to_string())));
    });
    let control = AttendedCommand {
        exit,
        attendant,
        terminal: terminal.as_ref().map(|it| Arc::downgrade(&it.0)),
    };
    match (terminal, stdin, stdout) {
        (None, Some(stdin), Some(stdout)) => {
            let process = ExecProcess::new(stdin, stdout, control);
            match stderr {
                Some(stderr) => process.with_stderr(stderr),
                None => process,
            }
        }
        (Some(terminal), ..) => ExecProcess::new(terminal.clone(), terminal, control),
        // The streams are those that were asked for.
        (None, ..) => ExecProcess::new(tokio::io::sink(), tokio::io::empty(), control),
    }
}

/// The owner of a command.
struct AttendedCommand {
    exit: watch::Receiver<Option<Result<Exit, String>>>,
    attendant: JoinHandle<()>,
    /// Not counted, so that dropping the streams hangs up the terminal.
    terminal: Option<Weak<Mutex<SandboxTerminal>>>,
}

#[async_trait]
impl ExecControl for AttendedCommand {
    async fn wait(&self) -> Result<Exit, TaskError> {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        match ended.as_deref() {
            Ok(Some(Ok(exit))) => Ok(*exit),
            Ok(Some(Err(message))) => Err(TaskError::other(message.as_str())),
            _ => Err(TaskError::other("the command was dropped while it ran")),
        }
    }

    fn resize(&self, size: PtySize) -> io::Result<()> {
        let terminal = self.terminal.as_ref().and_then(Weak::upgrade);
        terminal.map_or(Ok(()), |it| it.lock().resize(terminal_size(size)))
    }
}

impl Drop for AttendedCommand {
    fn drop(&mut self) {
        // Drops the child, which kills all its processes.
        self.attendant.abort();
    }
}

fn terminal_size(PtySize { rows, columns }: PtySize) -> TerminalSize {
    TerminalSize { rows, columns }
}

/// A terminal that is read, written and resized by different owners. The lock is held for single calls only.
#[derive(Clone)]
struct SharedTerminal(Arc<Mutex<SandboxTerminal>>);

impl SharedTerminal {
    fn new(terminal: SandboxTerminal) -> Self {
        Self(Arc::new(Mutex::new(terminal)))
    }
}

impl AsyncRead for SharedTerminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(context, buffer)
    }
}

impl AsyncWrite for SharedTerminal {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
