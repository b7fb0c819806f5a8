//! A task that is run by programs of the operator.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime_core::{BoxError, TaskContext, TaskError, TemporaryFile, TemporaryFolder, error_chain};
use runtime_worker::{Exit, ExtractError, ResultSet, Sandbox, SandboxBuilder as _};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::killable_run::{KillDeadline, KillableRun, remaining};
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

/// A running task.
pub(super) struct CommandsSandbox(KillableRun<Arc<dyn ResultSet>>);

impl CommandsSandbox {
    pub(super) fn start(stages: Stages) -> Self {
        Self(KillableRun::spawn(|deadline| async move {
            stages.run(deadline).await.map_err(BoxError::from)
        }))
    }
}

#[async_trait]
impl Sandbox for CommandsSandbox {
    async fn wait(&self) -> Result<Arc<dyn ResultSet>, TaskError> {
        self.0.wait().await
    }

    async fn kill(&self, within: Duration) {
        self.0.kill(within).await;
    }
}

impl Stages {
    async fn run(self, mut deadline: KillDeadline) -> Result<Arc<dyn ResultSet>, TaskError> {
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
    deadline: &mut KillDeadline,
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
    deadline: &mut KillDeadline,
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
    deadline: &mut KillDeadline,
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
    deadline: &mut KillDeadline,
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
async fn killed_for(deadline: &mut KillDeadline, parts: u32) {
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
