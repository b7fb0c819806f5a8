//! Tasks on an embedded Taskcluster in this process.

use std::sync::Arc;
use std::time::Duration;

use runtime_taskcluster_embedded::{RequestError, TaskSnapshot, TaskState, Taskcluster};
use runtime_worker::report::TaskReport;
use tokio::task::JoinSet;

use crate::definition_file::DefinitionFile;
use crate::result::TaskResult;

/// The prefix of the lines of a log that describe the errors of its task.
const ERROR_PREFIX: &str = "[taskcluster:error]";

/// Tasks on an embedded Taskcluster, which a worker in the same process runs.
#[derive(Debug)]
pub struct LocalTasks {
    taskcluster: Arc<Taskcluster>,
    tasks: Vec<DefinitionFile>,
    cancellations: JoinSet<()>,
}

impl LocalTasks {
    /// Takes the tasks for a deployment, and creates none.
    #[must_use]
    pub fn new(taskcluster: Taskcluster, tasks: Vec<DefinitionFile>) -> Self {
        Self {
            taskcluster: Arc::new(taskcluster),
            tasks,
            cancellations: JoinSet::new(),
        }
    }

    /// Returns the deployment of the tasks.
    #[must_use]
    pub fn taskcluster(&self) -> &Taskcluster {
        &self.taskcluster
    }

    /// Returns the tasks.
    #[must_use]
    pub fn tasks(&self) -> &[DefinitionFile] {
        &self.tasks
    }

    /// Creates the tasks. Each one with a time for its cancellation is cancelled this time after its start, unless this
    /// value is dropped before.
    ///
    /// # Errors
    ///
    /// The task that the queue rejects, with the reason.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn create(&mut self) -> Result<(), (&DefinitionFile, RequestError)> {
        for task in &self.tasks {
            let created = self.taskcluster.create_task(task.json.clone());
            created.map_err(|error| (task, error))?;
            if let Some(after) = task.cancel_after {
                let (taskcluster, id) = (Arc::clone(&self.taskcluster), task.task_id.to_string());
                self.cancellations
                    .spawn(cancel_after_start(taskcluster, id, after));
            }
        }
        Ok(())
    }

    /// Waits until all tasks are resolved.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn all_resolved(&self) {
        for task in &self.tasks {
            // Fails only for an unknown task, and this one was created.
            let task_id = task.task_id.as_str();
            let _ = self.taskcluster.wait_until_resolved(task_id).await;
        }
    }

    /// Returns the number of tasks with a run. A task whose dependency failed has none.
    #[must_use]
    pub fn started(&self) -> usize {
        let status = |it: &DefinitionFile| self.taskcluster.status(it.task_id.as_str());
        let tasks = self.tasks.iter();
        tasks
            .filter(|it| status(it).is_ok_and(|status| !status.runs.is_empty()))
            .count()
    }

    /// Returns the results of the tasks, with those of these reports that are about them.
    ///
    /// # Errors
    ///
    /// The error of the queue for a task that was not created.
    pub fn results(&self, reports: &[TaskReport]) -> Result<Vec<TaskResult>, RequestError> {
        let tasks = self.tasks.iter();
        tasks.map(|task| self.result(task, reports)).collect()
    }

    fn result(
        &self,
        task: &DefinitionFile,
        reports: &[TaskReport],
    ) -> Result<TaskResult, RequestError> {
        let status = self.taskcluster.status(task.task_id.as_str())?;
        let mut reports = reports.iter().rev();
        let report = reports.find(|report| report.run.task_id == task.task_id);
        Ok(TaskResult {
            task: task.clone(),
            state: status.state_and_reason(),
            report: report.cloned(),
            artifacts: self.artifact_urls(&status)?,
        })
    }

    /// Returns the names and URLs of the artifacts of the last run.
    fn artifact_urls(&self, status: &TaskSnapshot) -> Result<Vec<(String, String)>, RequestError> {
        let Some(run) = status.runs.last() else {
            return Ok(Vec::new());
        };
        let (root_url, task_id, run_id) =
            (self.taskcluster.root_url(), &status.task_id, run.run_id);
        let base = format!("{root_url}/api/queue/v1/task/{task_id}/runs/{run_id}/artifacts");
        let artifacts = self.taskcluster.artifacts(task_id, run_id)?.into_iter();
        let with_url = artifacts.map(|artifact| {
            let url = format!("{base}/{}", artifact.name);
            (artifact.name, url)
        });
        Ok(with_url.collect())
    }

    /// Returns the complete log of the last run of a task. Empty if it has no log.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn log(&self, task: &DefinitionFile) -> String {
        let (task_id, log) = (task.task_id.as_str(), "public/logs/live_backing.log");
        let log = self.taskcluster.read_artifact_text(task_id, log).await;
        log.unwrap_or_default()
    }

    /// Returns the error lines in the log of a task. Empty if it has no log.
    ///
    /// # Cancel safety
    ///
    /// Safe: the call has no effect.
    pub async fn log_errors(&self, task: &DefinitionFile) -> Vec<String> {
        let log = self.log(task).await;
        let errors = log.lines().filter(|line| line.starts_with(ERROR_PREFIX));
        errors.map(str::to_owned).collect()
    }
}

async fn cancel_after_start(taskcluster: Arc<Taskcluster>, task_id: String, after: Duration) {
    let is_started =
        |status: &TaskSnapshot| !status.runs.is_empty() && status.state != TaskState::Pending;
    if taskcluster.wait_for(&task_id, is_started).await.is_ok() {
        tokio::time::sleep(after).await;
        // Fails if the task is resolved by now, which its state shows.
        let _ = taskcluster.cancel_task(&task_id);
    }
}
