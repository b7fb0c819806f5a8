//! The program `taskcluster-dev`: an embedded Taskcluster that keeps its state, and commands for tasks.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use runtime_core::ShutdownSource as _;
use runtime_core::queue::Queue as _;
use runtime_taskcluster_embedded::Taskcluster;
use runtime_worker::ShutdownSignals;
use tokio::runtime::Runtime;

use crate::args::{Arguments, Command, SecretsCommand, ServerArgs, TasksCommand};
use crate::environment::client_variables;
use crate::output;
use crate::tasks::Deployment;

/// Runs the program `taskcluster-dev` with the given arguments, and returns its exit code. The first argument, the
/// program's name, is ignored.
///
/// Errors are written to standard error. The exit code is 0 for success, 1 for errors and for a followed task that did not
/// complete, and 2 for wrong arguments.
#[must_use]
pub fn taskcluster_dev(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Fails if the output is closed, which changes nothing.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let result = Runtime::new()
        .context("cannot start threads")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    result.unwrap_or_else(|error| {
        output::error_line(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Some(command) = arguments.command else {
        serve(&arguments.server).await?;
        return Ok(ExitCode::SUCCESS);
    };
    let deployment = Deployment::from_environment()?;
    let result = match command {
        Command::Tasks { command } => run_tasks(&deployment, command).await,
        Command::Secrets { command } => {
            let SecretsCommand::Set { name, file } = command;
            let stored = deployment.set_secret(&name, &file).await;
            stored.map(|()| ExitCode::SUCCESS)
        }
    };
    result.map_err(|error| deployment.with_advice(error))
}

async fn run_tasks(deployment: &Deployment, command: TasksCommand) -> Result<ExitCode> {
    let client = &deployment.client;
    let status = match command {
        TasksCommand::Create { files, follow } => return deployment.create(&files, follow).await,
        TasksCommand::Log { task_id, follow } => return deployment.log(&task_id, follow).await,
        TasksCommand::Status { task_id } => client.status(&task_id).await?,
        TasksCommand::Cancel { task_id } => client.cancel_task(&task_id).await?,
        TasksCommand::Rerun { task_id } => client.rerun_task(&task_id).await?,
    };
    deployment.print_status(&status)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the server until the first signal.
async fn serve(args: &ServerArgs) -> Result<()> {
    // Before the server starts: a signal right after its first line must find the handler.
    let mut signals = ShutdownSignals::new()?;
    let mut builder = Taskcluster::builder()
        .address(args.address)
        .port(args.port)
        .claim_timeout(Duration::from_secs(args.claim_timeout))
        .long_poll(Duration::from_secs(args.long_poll));
    if let Some(folder) = &args.data {
        builder = builder.data_dir(folder);
    }
    let taskcluster = builder.start().await?;
    output::result(client_variables(&taskcluster))?;
    output::error_line(format_args!("page: {}/", taskcluster.root_url()));
    if args.data.is_none() {
        output::error_line("the state is lost when the program ends; --data DIR keeps it");
    }
    signals.next().await;
    taskcluster.stop().await;
    Ok(())
}
