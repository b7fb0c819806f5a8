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
use runtime_core::TaskError;
use runtime_sandbox::{SandboxChild, SandboxCommand, SandboxTerminal, StdStream, TerminalSize};
use runtime_worker::{ExecCommand, ExecControl, ExecError, ExecProcess, Exit, PtySize};
use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::companions::Companion;
use crate::engine_state::EngineState;
use crate::marks::TASK_VARIABLE;
use crate::oom::OOM_SCORE_ADJ;
use crate::proc;
use crate::running_command::exit_of;
use crate::task::PreparedTask;
use crate::walled_command::ExecRequest;

/// The folder and variables of further commands of a task.
pub(crate) struct ExecContext {
    folder: PathBuf,
    env: BTreeMap<String, String>,
    engine: Arc<EngineState>,
    /// Starts commands in the sandbox or the control group of the running command.
    requests: mpsc::Sender<ExecRequest>,
}

impl ExecContext {
    /// Creates the context, and the receiver of requests for the running command.
    pub(crate) fn of(task: &PreparedTask) -> (Self, mpsc::Receiver<ExecRequest>) {
        let (requests, receiver) = mpsc::channel(1);
        let context = Self {
            folder: task.folder.path().to_owned(),
            env: task.env.clone(),
            engine: Arc::clone(&task.engine),
            requests,
        };
        (context, receiver)
    }

    /// Starts a command, which ends with the command of the task that runs.
    pub(crate) async fn start(&self, command: ExecCommand) -> Result<ExecProcess, ExecError> {
        let program = command.command.first().cloned().unwrap_or_default();
        let ended = || ExecError::Ended {
            program: program.clone(),
        };
        // Only the running command can let others in.
        let (reply, answer) = oneshot::channel();
        let request = ExecRequest {
            command: self.sandbox_command(&command),
            reply,
        };
        self.requests.send(request).await.map_err(|_| ended())?;
        match answer.await.map_err(|_| ended())? {
            Ok((child, companion)) => Ok(attend(child, companion)),
            Err(source) => Err(ExecError::Start { program, source }),
        }
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
        let mark = self.engine.orphans.owner().variable(&self.folder);
        sandbox = sandbox.env(TASK_VARIABLE, mark);
        match command.terminal {
            Some(size) => sandbox.terminal(terminal_size(size)),
            None => sandbox
                .stdin(StdStream::Pipe)
                .stdout(StdStream::Pipe)
                .stderr(StdStream::Pipe),
        }
    }
}

/// Takes over a command, and ends it with the command that ran when it started.
fn attend(mut child: SandboxChild, companion: Companion) -> ExecProcess {
    // As for the commands of the task.
    let leader = child.command_id().or(child.id());
    if let Some(leader) = leader.and_then(|it| Pid::from_raw(it.cast_signed())) {
        proc::set_oom_score_adj(leader, OOM_SCORE_ADJ);
    }
    let terminal = child.terminal.take().map(SharedTerminal::new);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (sender, exit) = watch::channel(None);
    // The child is dropped first, which kills all its processes, also if the future is never polled.
    let mut running = (child, companion);
    let attendant = tokio::spawn(async move {
        let running = &mut running;
        let (child, companion) = (&mut running.0, &running.1);
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = companion.must_end() => child.kill(Duration::ZERO).await,
        };
        let ended = ended.map(|exit| exit_of(exit.status));
        sender.send_replace(Some(ended.map_err(|error| error.to_string())));
    });
    let control = SupervisedCommand {
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
        // The start returns the requested streams.
        (None, ..) => ExecProcess::new(tokio::io::sink(), tokio::io::empty(), control),
    }
}

/// The owner of a command.
struct SupervisedCommand {
    exit: watch::Receiver<Option<Result<Exit, String>>>,
    attendant: JoinHandle<()>,
    /// A weak reference, so that dropping the streams closes the terminal.
    terminal: Option<Weak<Mutex<SandboxTerminal>>>,
}

#[async_trait]
impl ExecControl for SupervisedCommand {
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

impl Drop for SupervisedCommand {
    fn drop(&mut self) {
        // Drops the child, which kills all its processes.
        self.attendant.abort();
    }
}

fn terminal_size(PtySize { rows, columns }: PtySize) -> TerminalSize {
    TerminalSize { rows, columns }
}

/// A terminal with different owners for reading, writing and resizing. The lock is held only during single calls.
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
