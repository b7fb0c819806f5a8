//! Runs tasks on an embedded Taskcluster and prints their results.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use anyhow::{Context as _, Result, bail};
use runtime_client::TaskclusterDeployment;
use runtime_core::{CredentialsWatch, LifeCycleTracker, Stoppable as _};
use runtime_dev_server::{
    DefinitionFile, LocalTasks, TaskResult, TaskTarget, client_variables, results_table,
};
use runtime_taskcluster_embedded::Taskcluster;
use runtime_worker::ExitCause;
use serde_json::json;

use crate::args::TaskArgs;
use crate::assembly::{AssembledWorker, DeploymentInputs, temporary_folder};
use crate::config::ConfigSource;
use crate::program::ProgramSpec;
use crate::progress::{Progress, label};
use crate::signals::stop_on_signals;
use runtime_dev_server::output;

/// The time that the queue holds a claim without a task. Short, because a stopping worker waits for its claim.
const CLAIM_LONG_POLL: Duration = Duration::from_millis(500);

/// The interval at which the worker polls for cancellation.
const CANCEL_POLL: Duration = Duration::from_millis(250);

/// Runs the given tasks, or the demo tasks. Returns the exit code of a single task that failed, and an error for tasks
/// with another state than the expected one.
pub(crate) async fn run(
    program: &ProgramSpec,
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
    let files = read_files(demo_tasks, args, taskcluster.root_url())?;
    let mut tasks = LocalTasks::new(taskcluster, files);
    let taskcluster = tasks.taskcluster();
    let progress = Arc::new(progress);
    let inputs = DeploymentInputs {
        deployment: TaskclusterDeployment::new(taskcluster.root_url())?,
        credentials: CredentialsWatch::fixed(Some(taskcluster.credentials())),
        progress: Arc::clone(&progress),
        worker_runner: None,
        cause: ExitCause::default(),
        idle_stop: None,
        cancel_poll: Some(CANCEL_POLL),
    };
    let stop = LifeCycleTracker::new();
    let folder = temporary_folder()?;
    let worker = &args.dev.worker;
    let data = worker.data.as_deref().unwrap_or(folder.path());
    // The results are printed, so the log would only repeat them.
    let source = ConfigSource::from_args(worker, taskcluster.root_url(), data, "error");
    let (config, engine) = program
        .engine
        .load(&source.document()?, source.web_hooks()?)?;
    let app = AssembledWorker::build(program, (&config, engine), inputs, &stop).await?;
    create_tasks(&mut tasks, &progress)?;
    let _signals = stop_on_signals(stop.clone(), ExitCause::default())?;
    if args.keep {
        let variables = client_variables(tasks.taskcluster());
        progress.line(format_args!(
            "\nvariables for other clients:\n{variables}\n"
        ));
    }
    let results = run_worker(&tasks, &progress, (&app, &stop), args).await?;
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

fn read_files(
    demo_tasks: &[(&str, &str)],
    args: &TaskArgs,
    root_url: &str,
) -> Result<Vec<DefinitionFile>> {
    let target = TaskTarget {
        root_url,
        task_queue_id: Some(&args.dev.worker.task_queue_id),
    };
    let files: Result<_, _> = if args.definitions.is_empty() {
        let tasks = demo_tasks.iter();
        let tasks = tasks.map(|(name, text)| DefinitionFile::parse(name, text, target));
        tasks.collect()
    } else {
        let files = args.definitions.iter();
        files
            .map(|path| DefinitionFile::read(path, target))
            .collect()
    };
    Ok(files?)
}

fn create_tasks(tasks: &mut LocalTasks, progress: &Progress) -> Result<()> {
    let root_url = tasks.taskcluster().root_url();
    progress.line(format_args!("embedded Taskcluster at {root_url}"));
    tasks.create().map_err(|(task, error)| {
        let name = &task.name;
        anyhow::Error::new(error).context(format!("the queue rejected `{name}`"))
    })?;
    for task in tasks.tasks() {
        let label = label(&task.name, &task.task_id);
        progress.line(format_args!("{label} created"));
    }
    Ok(())
}

/// Runs the worker until all tasks are resolved, or with `--keep` until it is stopped. Prints the log of a single task,
/// and the results.
async fn run_worker(
    tasks: &LocalTasks,
    progress: &Progress,
    (app, stop): (&AssembledWorker, &LifeCycleTracker),
    args: &TaskArgs,
) -> Result<Vec<TaskResult>> {
    let mut worker = std::pin::pin!(app.run(stop));
    let is_stopped = tokio::select! {
        () = &mut worker => true,
        () = tasks.all_resolved() => false,
    };
    let keeps_running = args.keep && !is_stopped;
    if keeps_running {
        // The queue resolves a run shortly before the worker reports it.
        progress.wait_for_reports(tasks.started()).await;
    } else if !is_stopped {
        stop.stop_gracefully();
        worker.as_mut().await;
    }
    let results = tasks.results(&progress.reports())?;
    if let [result] = &results[..] {
        let log = tasks.log(&result.task).await;
        if !log.is_empty() {
            progress.line(format_args!("\n{}\n", log.trim_end()));
        }
    }
    if !results.is_empty() {
        print(&results, app.metrics_summary(), args).context("cannot print the summary")?;
    }
    if results.len() > 1 {
        print_errors(tasks, &results, progress).await;
    }
    if keeps_running {
        progress.line("\nthe worker and its queue keep running until Ctrl-C");
        worker.await;
    }
    Ok(results)
}

/// Prints the error lines of the tasks with another state than the expected one. Complete logs of several tasks would hide
/// the results.
async fn print_errors(tasks: &LocalTasks, results: &[TaskResult], progress: &Progress) {
    for result in results.iter().filter(|it| it.mismatch().is_some()) {
        let label = label(&result.task.name, &result.task.task_id);
        for line in tasks.log_errors(&result.task).await {
            progress.line(format_args!("{label} {line}"));
        }
    }
}

fn print(results: &[TaskResult], totals: impl fmt::Display, args: &TaskArgs) -> io::Result<()> {
    if !args.json {
        // Without `--keep`, the server of the URLs exits in a moment.
        return output::result(results_table(results, totals, args.keep));
    }
    for result in results {
        output::result(result.json())?;
    }
    output::result(json!({ "totals": totals.to_string() }))
}
