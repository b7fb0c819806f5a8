//! Commands that create tasks and follow them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use runtime_client::{Client, TaskclusterDeployment};
use runtime_core::queue::{Queue as _, TaskState, TaskStatus};
use runtime_core::{CredentialsWatch, TaskId};

use crate::definition_file::{DefinitionFile, TaskTarget};
use crate::environment::environment_credentials;
use crate::log::LogReader;
use crate::output;

/// The interval at which a followed task is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time limit for receiving the end of a live log after its task is resolved.
const LOG_END_TIMEOUT: Duration = Duration::from_secs(5);

/// A deployment, with the credentials of the user.
pub(crate) struct Deployment {
    root_url: String,
    client: Client,
}

impl Deployment {
    pub(crate) fn from_environment() -> Result<Self> {
        let root_url = std::env::var("TASKCLUSTER_ROOT_URL")
            .context("set TASKCLUSTER_ROOT_URL to the root URL that the server printed")?;
        let credentials = environment_credentials()
            .map_err(|name| anyhow!("set {name} to the value that the server printed"))?;
        let deployment = TaskclusterDeployment::new(&root_url)?;
        let client = deployment.client(CredentialsWatch::fixed(Some(credentials)));
        Ok(Self { root_url, client })
    }

    pub(crate) async fn create(&self, files: &[PathBuf], follow: bool) -> Result<ExitCode> {
        let target = TaskTarget {
            root_url: &self.root_url,
            task_queue_id: None,
        };
        let definitions = files.iter().map(|file| DefinitionFile::read(file, target));
        // All files are read first, so that a mistake in the last one creates nothing.
        let definitions = definitions.collect::<Result<Vec<_>, _>>()?;
        for DefinitionFile {
            name,
            task_id,
            definition,
            ..
        } in &definitions
        {
            let created = self.client.create_task(task_id, definition).await;
            created.with_context(|| format!("cannot create `{name}`"))?;
            let root_url = self.root_url.trim_end_matches('/');
            output::result(format_args!("{task_id} {root_url}/tasks/{task_id}"))?;
        }
        let mut code = ExitCode::SUCCESS;
        for definition in definitions.iter().filter(|_| follow) {
            // All tasks are followed, even if a log cannot be printed.
            let result = self.log(&definition.task_id, true).await;
            let result = result.unwrap_or_else(|error| {
                output::error_line(format_args!("{}: {error:#}", definition.name));
                ExitCode::FAILURE
            });
            if result != ExitCode::SUCCESS {
                code = result;
            }
        }
        Ok(code)
    }

    /// Prints the log of the last run. The exit code is 0 if the task has completed, otherwise 1.
    pub(crate) async fn log(&self, task_id: &TaskId, follow: bool) -> Result<ExitCode> {
        let (mut log, mut run_id) = (LogReader::new(self.client.clone(), task_id)?, 0);
        loop {
            let status = self.client.status(task_id).await?;
            let run = status.runs.last();
            if let Some(run) = run.filter(|run| run.run_id != run_id) {
                // A retry, whose log starts again.
                log.restart();
                run_id = run.run_id;
            }
            match status.state {
                TaskState::Completed | TaskState::Failed | TaskState::Exception => {
                    let printed = log.print_final(run_id).await;
                    let code = exit_code(task_id, &status);
                    printed.with_context(|| format!("cannot print the log of run {run_id}"))?;
                    return Ok(code);
                }
                state if !follow => bail!("the task is {state}; --follow waits for its log"),
                TaskState::Running => {
                    let printed = tokio::select! {
                        printed = log.print_live(run_id) => printed,
                        () = self.resolved(task_id, run_id) => Ok(()),
                    };
                    // The live log has ended, or cannot be read. The next status shows whether to continue.
                    if let Err(error) = printed
                        && log.is_output_closed()
                    {
                        return Err(error);
                    }
                }
                _ => {}
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the run is resolved, and then for the end of its live log.
    async fn resolved(&self, task_id: &TaskId, run_id: u32) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            // An error is transient, or the next call of the loop around returns it.
            if let Ok(status) = self.client.status(task_id).await
                && let Some(run) = status.runs.get(run_id as usize)
                && run.state.is_resolved()
            {
                return tokio::time::sleep(LOG_END_TIMEOUT).await;
            }
        }
    }
}

fn exit_code(task_id: &TaskId, status: &TaskStatus) -> ExitCode {
    output::error_line(format_args!("{task_id} is {}", status.state));
    if status.state == TaskState::Completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
