//! Commands that create tasks and follow them, and one that stores a secret.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use runtime_client::{Client, ClientSettings, TaskclusterDeployment};
use runtime_core::queue::{Queue as _, RunStatus, TaskState, TaskStatus};
use runtime_core::{ApiError, Credentials, CredentialsWatch, TaskId, Timestamp};
use runtime_worker::config::{self, Format};
use serde_json::Value;

use crate::definition_file::{DefinitionFile, TaskTarget};
use crate::environment::environment_credentials;
use crate::log::LogReader;
use crate::output;

/// The interval at which a followed task is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time limit for the retries of a call: long enough for a restart of the server, and short enough for a wrong port.
const RETRY_BUDGET: Duration = Duration::from_secs(15);
/// The lifetime of a secret.
const SECRET_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The time limit for receiving the end of a live log after its task is resolved.
const LOG_END_TIMEOUT: Duration = Duration::from_secs(5);

/// A deployment, with the credentials of the user.
pub(crate) struct Deployment {
    root_url: String,
    pub(crate) client: Client,
}

impl Deployment {
    pub(crate) fn from_environment() -> Result<Self> {
        let root_url = std::env::var("TASKCLUSTER_ROOT_URL")
            .context("set TASKCLUSTER_ROOT_URL to the root URL that the server printed")?;
        let credentials = environment_credentials()
            .map_err(|name| anyhow!("set {name} to the value that the server printed"))?;
        Self::new(root_url, credentials, RETRY_BUDGET)
    }

    fn new(root_url: String, credentials: Credentials, retry_budget: Duration) -> Result<Self> {
        let mut settings = ClientSettings::default();
        settings.retry.budget = retry_budget;
        let deployment = TaskclusterDeployment::with_settings(&root_url, settings)?;
        let client = deployment.client(CredentialsWatch::fixed(Some(credentials)));
        Ok(Self { root_url, client })
    }

    /// Adds the remedy to an error whose cause is the root URL or the credentials.
    pub(crate) fn with_advice(&self, error: Error) -> Error {
        let root_url = &self.root_url;
        match error.downcast_ref::<ApiError>() {
            Some(ApiError::Unreachable { .. }) => error.context(format!(
                "cannot reach {root_url}; start the server, or set the variables that it prints"
            )),
            Some(refused) if refused.status() == Some(401) => error.context(format!(
                "{root_url} does not accept the credentials; set the variables that the server prints"
            )),
            _ => error,
        }
    }

    /// Returns the page of a task.
    fn page(&self, task_id: &TaskId) -> String {
        format!("{}/tasks/{task_id}", self.root_url.trim_end_matches('/'))
    }

    /// Prints the id and the page of a task, and a line for the task and each run.
    pub(crate) fn print_status(&self, status: &TaskStatus) -> Result<()> {
        let task_id = &status.task_id;
        output::result(format_args!("{task_id} {}", self.page(task_id)))?;
        output::result(&status.state)?;
        for run in &status.runs {
            output::result(run_line(run))?;
        }
        Ok(())
    }

    /// Stores the content of a file as a secret.
    pub(crate) async fn set_secret(&self, name: &str, file: &Path) -> Result<()> {
        let path = file.display();
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read `{path}`"))?;
        let value: Value = config::parse(&text, Format::Yaml)
            .with_context(|| format!("`{path}` is not YAML or JSON"))?;
        let Value::Object(value) = value else {
            bail!("`{path}` has no map at its top level, which a secret needs");
        };
        let expires = Timestamp::now() + SECRET_LIFETIME;
        let stored = self.client.set_secret(name, &value, expires).await;
        stored.with_context(|| format!("cannot store the secret `{name}`"))?;
        let day = expires.strftime("%Y-%m-%d");
        output::result(format_args!("the secret `{name}` expires on {day}"))?;
        Ok(())
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
            output::result(format_args!("{task_id} {}", self.page(task_id)))?;
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
                    // A run that was never claimed has no log.
                    let printed = match run.and_then(|run| run.started) {
                        Some(_) => log.print_final(run_id).await,
                        None => Ok(()),
                    };
                    let code = exit_code(task_id, &status);
                    printed.with_context(|| format!("cannot print the log of run {run_id}"))?;
                    return Ok(code);
                }
                state if !follow => bail!("the task is {state}; --follow waits for its log"),
                TaskState::Running => {
                    let printed = tokio::select! {
                        printed = log.print_live(run_id) => printed,
                        resolved = self.resolved(task_id, run_id) => {
                            resolved?;
                            Ok(())
                        }
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
    ///
    /// Fails if the queue does not respond: the worker may have ended as well, and a live log without an end would be
    /// followed forever.
    async fn resolved(&self, task_id: &TaskId, run_id: u32) -> Result<(), ApiError> {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let status = self.client.status(task_id).await?;
            let run = status.runs.get(run_id as usize);
            if run.is_some_and(|run| run.state.is_resolved()) {
                tokio::time::sleep(LOG_END_TIMEOUT).await;
                return Ok(());
            }
        }
    }
}

/// Returns the state of a run, with the reason for an exception.
fn state_and_reason(run: &RunStatus) -> String {
    match (&run.state, &run.reason_resolved) {
        (TaskState::Exception, Some(reason)) => format!("{}/{reason}", run.state),
        (state, _) => state.to_string(),
    }
}

fn run_line(run: &RunStatus) -> String {
    let mut line = format!("run {}: {}", run.run_id, state_and_reason(run));
    if let (Some(group), Some(id)) = (&run.worker_group, &run.worker_id) {
        line = format!("{line}, worker {group}/{id}");
    }
    line
}

fn exit_code(task_id: &TaskId, status: &TaskStatus) -> ExitCode {
    let state = status.runs.last().map(state_and_reason);
    let state = state.unwrap_or_else(|| status.state.to_string());
    output::error_line(format_args!("{task_id} is {state}"));
    if status.state == TaskState::Completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use runtime_core::Run;
    use runtime_core::queue::{ArtifactRequest, ClaimWorkRequest};
    use runtime_taskcluster_embedded::Taskcluster;
    use serde_json::json;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn follow_ends_with_the_server() {
        let taskcluster = Taskcluster::start().await.unwrap();
        let task = json!({ "taskQueueId": "test/linux", "payload": {} });
        let task_id: TaskId = taskcluster.create_task(task).unwrap().parse().unwrap();
        let root_url = taskcluster.root_url().to_owned();
        let deployment = Deployment::new(root_url, taskcluster.credentials(), Duration::ZERO);
        let deployment = deployment.unwrap();
        // A worker whose live log stays open and says nothing.
        let live_log = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", live_log.local_addr().unwrap());
        let request = ClaimWorkRequest {
            worker_group: "group".to_owned(),
            worker_id: "worker".to_owned(),
            tasks: 1,
        };
        deployment
            .client
            .claim_work("test/linux", &request)
            .await
            .unwrap();
        let run = Run {
            task_id: task_id.clone(),
            run_id: 0,
        };
        let reference = ArtifactRequest::Reference {
            content_type: "text/plain".to_owned(),
            url,
            expires: Timestamp::now() + Duration::from_secs(60),
        };
        let name = "public/logs/live.log";
        deployment
            .client
            .create_artifact(&run, name, &reference)
            .await
            .unwrap();
        let lost = async {
            let (mut connection, _) = live_log.accept().await.unwrap();
            connection.read_u8().await.unwrap();
            taskcluster.stop().await;
            connection
        };
        let (followed, _connection) = tokio::join!(deployment.log(&task_id, true), lost);
        let error = followed.unwrap_err().to_string();
        assert!(error.contains("is the deployment reachable?"), "{error}");
    }
}
