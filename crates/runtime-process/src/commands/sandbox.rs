//! A task that is run by programs of the operator.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::clock::instant_after;
use runtime_core::{TaskContext, TaskError, TemporaryFile, TemporaryFolder, error_chain};
use runtime_worker::{Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder as _};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::sandbox_builder::ProcessSandboxBuilder;

/// The programs of a task, in the order in which they run.
pub(super) struct Stages {
    pub(super) prepare: Option<ProcessSandboxBuilder>,
    pub(super) run: ProcessSandboxBuilder,
    pub(super) kill: Option<ProcessSandboxBuilder>,
    pub(super) cleanup: Option<ProcessSandboxBuilder>,
    pub(super) cleanup_timeout: Duration,
    pub(super) context: TaskContext,
    /// The folder of the task. `cleanup` starts in it too, even if `run` returned no result.
    pub(super) folder: Arc<TemporaryFolder>,
    /// The standard input of the programs.
    pub(super) _payload: TemporaryFile,
}

/// The time at which a killed task must have ended; `None` before the kill.
type Deadline = watch::Receiver<Option<Instant>>;

/// The end of a task. An error is stored as text, because each caller of `wait` gets a copy.
type End = Result<Arc<dyn ResultSet>, Arc<str>>;

/// A running task. It continues in a tokio task if a caller of `wait` is cancelled.
pub(super) struct CommandsSandbox {
    deadline: watch::Sender<Option<Instant>>,
    end: watch::Receiver<Option<End>>,
    task: JoinHandle<()>,
}

impl CommandsSandbox {
    pub(super) fn start(stages: Stages) -> Self {
        let (deadline, deadline_receiver) = watch::channel(None);
        let (sender, end) = watch::channel(None);
        let task = tokio::spawn(async move {
            let ended = stages.run(deadline_receiver).await;
            let end = ended.map_err(|error| Arc::from(error_chain(&error)));
            sender.send_replace(Some(end));
        });
        Self {
            deadline,
            end,
            task,
        }
    }
}

impl Drop for CommandsSandbox {
    fn drop(&mut self) {
        // Drops the sandbox of the running program, which kills its processes.
        self.task.abort();
    }
}

#[async_trait]
impl Sandbox for CommandsSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(result))) => Ok(Arc::clone(result)),
            Ok(Some(Err(message))) => Err(TaskError::other(&**message)),
            _ => Err(TaskError::other("the task was dropped while it ran")),
        }
    }

    async fn kill(&self, within: Duration) {
        let requested = instant_after(Instant::now(), within);
        // A later request may shorten the deadline and never extends it.
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(requested, |earlier| earlier.min(requested)));
        });
        let _ = self.end.clone().wait_for(Option::is_some).await;
    }
}

impl Stages {
    async fn run(self, mut deadline: Deadline) -> Result<Arc<dyn ResultSet>, TaskError> {
        let Self {
            prepare,
            run,
            kill,
            cleanup,
            cleanup_timeout,
            context,
            folder,
            _payload,
        } = self;
        let result = run_to_end(prepare, run, kill, &mut deadline).await;
        if let Some(cleanup) = cleanup {
            clean_up(cleanup, cleanup_timeout, &context, &mut deadline).await;
        }
        // Without a result, this removes the folder. The only possible error is a panic.
        let _ = spawn_blocking(move || drop(folder)).await;
        result
    }
}

/// Runs the programs `prepare` and `run`.
async fn run_to_end(
    prepare: Option<ProcessSandboxBuilder>,
    run: ProcessSandboxBuilder,
    kill: Option<ProcessSandboxBuilder>,
    deadline: &mut Deadline,
) -> Result<Arc<dyn ResultSet>, TaskError> {
    if let Some(prepare) = prepare {
        let prepared = run_program(prepare, None, deadline).await?;
        match prepared.exit() {
            Exit::Code(0) => {}
            Exit::Killed => return Ok(prepared),
            exit => {
                let message = format!("the program `prepare` of this worker failed: {exit}");
                return Err(TaskError::other(message));
            }
        }
    }
    run_program(run, kill, deadline).await
}

/// Runs the program `cleanup`. Its failure does not change the result of the task.
async fn clean_up(
    builder: ProcessSandboxBuilder,
    limit: Duration,
    context: &TaskContext,
    deadline: &mut Deadline,
) {
    let problem = match Box::new(builder).start().await {
        Ok(sandbox) => problem_of_cleanup(&*sandbox, limit, deadline).await,
        Err(error) => Some(error_chain(&error)),
    };
    if let Some(problem) = problem {
        context.log_error(format_args!(
            "The program `cleanup` of this worker failed: {problem}"
        ));
    }
}

/// Waits for the end of the program `cleanup`, and ends it after the limit. Returns the reason of a failure.
async fn problem_of_cleanup(
    sandbox: &dyn Sandbox,
    limit: Duration,
    deadline: &mut Deadline,
) -> Option<String> {
    let problem = tokio::select! {
        ended = sandbox.wait() => return match ended.map(|it| it.exit()) {
            Ok(Exit::Code(0)) => None,
            Ok(exit) => Some(exit.to_string()),
            Err(error) => Some(error_chain(&error)),
        },
        () = sleep(limit) => format!("it did not end within {limit:?}"),
        // When the task is killed, only the rest of the kill's time is left for `cleanup`.
        () = killed_for(deadline, 1) => "the task was killed, and no time was left".to_owned(),
    };
    // The task ends after its last process.
    sandbox.kill(Duration::ZERO).await;
    Some(problem)
}

/// Runs a program to its end. If the task is killed, `kill` runs first, and then the program receives signals.
async fn run_program(
    builder: ProcessSandboxBuilder,
    kill: Option<ProcessSandboxBuilder>,
    deadline: &mut Deadline,
) -> Result<Arc<dyn ResultSet>, TaskError> {
    let sandbox = Box::new(builder).start().await?;
    tokio::select! {
        result = sandbox.wait() => return result,
        // An error means that the sandbox was dropped, which aborts this.
        _ = deadline.wait_for(Option::is_some) => {}
    }
    // `kill`, the signals and `cleanup` share the time, a third each.
    if let Some(kill) = kill {
        let ask = async {
            let program = Box::new(kill).start().await?;
            let exit = program.wait().await?.exit();
            if exit.success() {
                // The program that was asked to end needs the rest of the time.
                std::future::pending::<()>().await;
            }
            Ok::<_, TaskError>(())
        };
        tokio::select! {
            result = sandbox.wait() => return killed(result),
            // Signals follow.
            _ = ask => {}
            () = killed_for(deadline, 3) => {}
        }
    }
    loop {
        tokio::select! {
            () = sandbox.kill(remaining(deadline) / 2) => break,
            // Less time is left.
            Ok(()) = deadline.changed() => {}
        }
    }
    killed(sandbox.wait().await)
}

/// Waits until the task is killed, and then for the `parts`-th part of the time until the deadline. The deadline may be
/// moved during the wait.
async fn killed_for(deadline: &mut Deadline, parts: u32) {
    // An error means that the sandbox was dropped, which aborts this.
    let _ = deadline.wait_for(Option::is_some).await;
    loop {
        let part = remaining(deadline) / parts;
        tokio::select! {
            () = sleep(part) => return,
            Ok(()) = deadline.changed() => {}
        }
    }
}

/// Returns the remaining time of a killed task.
fn remaining(deadline: &mut Deadline) -> Duration {
    let deadline = *deadline.borrow_and_update();
    deadline.map_or(Duration::ZERO, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}

/// Returns the result of a task that ended because it was killed.
fn killed(result: Result<Arc<dyn ResultSet>, TaskError>) -> Result<Arc<dyn ResultSet>, TaskError> {
    result.map(|result| Arc::new(KilledResult(result)) as Arc<dyn ResultSet>)
}

/// A result whose exit is a kill, even if the program exited normally after `kill`.
struct KilledResult(Arc<dyn ResultSet>);

#[async_trait]
impl ResultSet for KilledResult {
    fn exit(&self) -> Exit {
        Exit::Killed
    }

    async fn extract(&self, path: &str) -> Result<PathBuf, ExtractError> {
        self.0.extract(path).await
    }
}
