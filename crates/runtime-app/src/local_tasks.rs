//! Runs tasks on an embedded Taskcluster and prints their results.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runtime_client::TaskclusterDeployment;
use runtime_core::{CredentialsWatch, LifeCycleTracker, Stoppable as _};
use runtime_taskcluster_embedded::{TaskSnapshot, TaskState, Taskcluster};
use runtime_worker::ExitCause;
use runtime_worker::report::TaskReport;
use tokio::task::JoinSet;

use crate::args::TaskArgs;
use crate::assembly::{App, AppInputs, temporary_folder};
use crate::config::ConfigSource;
use crate::definition::{Definition, TaskTarget};
use crate::dev_server::variables;
use crate::output;
use crate::program::Program;
use crate::progress::{Progress, label};
use crate::signals::stop_on_signals;
use crate::summary::{self, TaskResult};

/// The time that the queue holds a claim without a task. Short, because a stopping worker waits for its claim.
const CLAIM_LONG_POLL: Duration = Duration::from_millis(500);

/// The interval at which the worker polls for cancellation.
const CANCEL_POLL: Duration = Duration::from_millis(250);

/// Runs the given tasks, or the demo tasks. Returns the exit code of a single task that failed, and an error for tasks
/// with another state than the expected one.
pub(crate) async fn run(
    program: &Program,
    demo_tasks: &[(&str, &str)],
    args: &TaskArgs,
) -> Result<ExitCode> {
    let taskcluster = Taskcluster::builder()
        .port(args.dev.port)
        .long_poll(CLAIM_LONG_POLL)
        .start()
        .await
        .context("cannot start the embedded Taskcluster; omit --port to select a free one")?;
    let mut progress = Progress::new(args.json).keep_reports();
    if args.keep {
        progress = progress.task_pages(taskcluster.root_url());
    }
    let tasks = LocalTasks {
        definitions: read_definitions(demo_tasks, args, taskcluster.root_url())?,
        taskcluster: Arc::new(taskcluster),
        progress: Arc::new(progress),
    };
    let stop = LifeCycleTracker::new();
    let folder = temporary_folder()?;
    let worker = &args.dev.worker;
    let data = worker.data.as_deref().unwrap_or(folder.path());
    // The results are printed, so the log would only repeat them.
    let source = ConfigSource::from_args(worker, tasks.taskcluster.root_url(), data, "error");
    let (config, engine) = program
        .engine
        .load(&source.document()?, source.web_hooks()?)?;
    let app = App::build(program, (&config, engine), tasks.app_inputs()?, &stop).await?;
    tasks.create_tasks()?;
    let _signals = stop_on_signals(stop.clone(), ExitCause::default())?;
    if args.keep {
        tasks.print_variables();
    }
    let results = tasks.run(&app, &stop, args).await?;
    app.close().await;
    let mismatches: Vec<_> = results.iter().filter_map(TaskResult::mismatch).collect();
    if mismatches.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mismatches = mismatches.join("; ");
    let [only] = &results[..] else {
        bail!("{mismatches}");
    };
    let Some(code) = only.exit_code() else {
        bail!("{mismatches}");
    };
    output::error_line(format_args!("error: {mismatches}"));
    Ok(ExitCode::from(code))
}

fn read_definitions(
    demo_tasks: &[(&str, &str)],
    args: &TaskArgs,
    root_url: &str,
) -> Result<Vec<Definition>> {
    let target = TaskTarget {
        root_url,
        task_queue_id: Some(&args.dev.worker.task_queue_id),
    };
    if args.definitions.is_empty() {
        let tasks = demo_tasks.iter();
        return tasks
            .map(|(name, text)| Definition::parse(name, text, &target))
            .collect();
    }
    let files = args.definitions.iter();
    files.map(|path| Definition::read(path, &target)).collect()
}

/// The tasks, the Taskcluster that they are created in, and their progress.
struct LocalTasks {
    taskcluster: Arc<Taskcluster>,
    definitions: Vec<Definition>,
    progress: Arc<Progress>,
}

impl LocalTasks {
    fn app_inputs(&self) -> Result<AppInputs> {
        Ok(AppInputs {
            deployment: TaskclusterDeployment::new(self.taskcluster.root_url())?,
            credentials: CredentialsWatch::fixed(Some(self.taskcluster.credentials())),
            progress: Arc::clone(&self.progress),
            worker_runner: None,
            cause: ExitCause::default(),
            idle_stop: None,
            cancel_poll: Some(CANCEL_POLL),
        })
    }

    fn create_tasks(&self) -> Result<()> {
        let root_url = self.taskcluster.root_url();
        self.progress
            .line(format_args!("embedded Taskcluster at {root_url}"));
        for definition in &self.definitions {
            let Definition { name, task_id, .. } = definition;
            let created = self.taskcluster.create_task(definition.body.clone());
            created.with_context(|| format!("the queue rejected `{name}`"))?;
            self.progress
                .line(format_args!("{} created", label(name, task_id)));
        }
        Ok(())
    }

    fn print_variables(&self) {
        let variables = variables(&self.taskcluster);
        self.progress.line(format_args!(
            "\nvariables for other clients:\n{variables}\n"
        ));
    }

    /// Runs the worker until all tasks are resolved, or with `--keep` until it is stopped. Prints the results.
    async fn run(
        &self,
        app: &App,
        stop: &LifeCycleTracker,
        args: &TaskArgs,
    ) -> Result<Vec<TaskResult>> {
        let _cancellations = self.schedule_cancellations();
        let mut worker = std::pin::pin!(app.run(stop));
        let is_stopped = tokio::select! {
            () = &mut worker => true,
            () = self.all_resolved() => false,
        };
        let keeps_running = args.keep && !is_stopped;
        if keeps_running {
            // The queue resolves a run shortly before the worker reports it.
            self.progress.wait_for_reports(self.started_tasks()).await;
        } else if !is_stopped {
            stop.stop_gracefully();
            worker.as_mut().await;
        }
        let results = self.results()?;
        if !results.is_empty() {
            summary::print(&results, app.metrics_summary(), args)
                .context("cannot print the summary")?;
        }
        for result in &results {
            if result.mismatch().is_some() {
                self.print_log_errors(result).await;
            }
        }
        if keeps_running {
            self.progress
                .line("\nthe worker and its queue keep running until Ctrl-C");
            worker.await;
        }
        Ok(results)
    }

    fn schedule_cancellations(&self) -> JoinSet<()> {
        let definitions = self.definitions.iter();
        definitions
            .filter_map(|definition| {
                let task_id = definition.task_id.to_string();
                let taskcluster = Arc::clone(&self.taskcluster);
                Some(cancel_after_start(
                    taskcluster,
                    task_id,
                    definition.cancel_after?,
                ))
            })
            .collect()
    }

    async fn all_resolved(&self) {
        for definition in &self.definitions {
            // Fails only for an unknown task, and this one was created.
            let task_id = definition.task_id.as_str();
            let _ = self.taskcluster.wait_until_resolved(task_id).await;
        }
    }

    /// Returns the number of tasks with a run. A task whose dependency failed has none.
    fn started_tasks(&self) -> usize {
        let status = |it: &Definition| self.taskcluster.status(it.task_id.as_str());
        let definitions = self.definitions.iter();
        definitions
            .filter(|it| status(it).is_ok_and(|status| !status.runs.is_empty()))
            .count()
    }

    fn results(&self) -> Result<Vec<TaskResult>> {
        let reports = self.progress.reports();
        let definitions = self.definitions.iter();
        definitions
            .map(|definition| self.result(definition, &reports))
            .collect()
    }

    fn result(&self, definition: &Definition, reports: &[TaskReport]) -> Result<TaskResult> {
        let status = self.taskcluster.status(definition.task_id.as_str())?;
        let mut reports = reports.iter().rev();
        let report = reports.find(|report| report.run.task_id == definition.task_id);
        Ok(TaskResult {
            definition: definition.clone(),
            state: status.state_and_reason(),
            report: report.cloned(),
            artifacts: self.artifact_urls(&status)?,
        })
    }

    /// Returns the names and URLs of the artifacts of the last run.
    fn artifact_urls(&self, status: &TaskSnapshot) -> Result<Vec<(String, String)>> {
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

    /// Prints the error lines of a task's log.
    async fn print_log_errors(&self, result: &TaskResult) {
        let task_id = result.definition.task_id.as_str();
        let log = "public/logs/live_backing.log";
        let Ok(log) = self.taskcluster.read_artifact_text(task_id, log).await else {
            return;
        };
        let label = label(&result.definition.name, &result.definition.task_id);
        for line in log.lines() {
            if line.starts_with("[taskcluster:error]") {
                self.progress.line(format_args!("{label} {line}"));
            }
        }
    }
}

async fn cancel_after_start(taskcluster: Arc<Taskcluster>, task_id: String, after: Duration) {
    let is_started =
        |status: &TaskSnapshot| !status.runs.is_empty() && status.state != TaskState::Pending;
    if taskcluster.wait_for(&task_id, is_started).await.is_ok() {
        tokio::time::sleep(after).await;
        // Fails if the task is resolved by now, which the summary shows.
        let _ = taskcluster.cancel_task(&task_id);
    }
}
