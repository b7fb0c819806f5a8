//! The default: tasks on an embedded Taskcluster, and a summary at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runtime::client::TaskclusterDeployment;
use runtime::mocks::taskcluster::{TaskSnapshot, TaskState, Taskcluster};
use runtime::{CredentialsWatch, LifeCycleTracker, Stoppable as _};
use tokio::task::JoinSet;

use crate::args::Args;
use crate::assemble::{Assembled, Parts, assemble, temporary_folder};
use crate::config::Config;
use crate::definition::{DEMO, Definition, Target};
use crate::progress::Progress;
use crate::signals::stop_on_signals;
use crate::summary::{self, Row};

/// How long a claim waits for a task. Short, because a worker that stops waits for its claim.
const LONG_POLL: Duration = Duration::from_millis(500);

pub(crate) async fn run(args: &Args) -> Result<()> {
    let taskcluster = Arc::new(
        Taskcluster::builder()
            .port(args.port)
            .long_poll(LONG_POLL)
            .start()
            .await
            .context(
                "cannot start the embedded Taskcluster; leave --port out to take a free one",
            )?,
    );
    let definitions = read_definitions(args, taskcluster.root_url())?;
    let progress = Arc::new(Progress::new(args.json).keeping_reports());
    let stop = LifeCycleTracker::new();
    let parts = Parts {
        deployment: TaskclusterDeployment::new(taskcluster.root_url())?,
        credentials: CredentialsWatch::fixed(Some(taskcluster.credentials())),
        progress: Arc::clone(&progress),
        runner: None,
        cancel_poll: Some(Duration::from_millis(250)),
        trust_loopback: true,
    };
    let folder = temporary_folder()?;
    let data = args.data.as_deref().unwrap_or(folder.path());
    let config = Config::of_args(args, taskcluster.root_url(), data)?;
    let assembled = assemble(&config, parts, &stop).await?;
    if let Some(url) = assembled.status_url() {
        progress.say(format_args!("status: {url}"));
    }
    progress.say(format_args!(
        "embedded Taskcluster at {}",
        taskcluster.root_url()
    ));
    for definition in &definitions {
        create(&taskcluster, definition)?;
        progress.say(format_args!(
            "{:<10} created as {}",
            definition.name, definition.task_id
        ));
    }
    let _signals = stop_on_signals(stop.clone())?;
    if args.keep {
        print_exports(&taskcluster, &progress);
    }

    let run = Run {
        args,
        taskcluster,
        definitions,
        progress,
    };
    let rows = run.work(&assembled, &stop).await?;
    assembled.close().await;
    judge(&rows)
}

fn read_definitions(args: &Args, root_url: &str) -> Result<Vec<Definition>> {
    let target = Target {
        root_url,
        task_queue_id: &args.task_queue_id,
    };
    if args.definitions.is_empty() {
        return DEMO
            .iter()
            .map(|(stem, text)| Definition::parse(stem, text, &target))
            .collect();
    }
    args.definitions
        .iter()
        .map(|path| Definition::read(path, &target))
        .collect()
}

fn create(taskcluster: &Taskcluster, definition: &Definition) -> Result<()> {
    let mut body = definition.body.clone();
    body["taskId"] = definition.task_id.as_str().into();
    let created = taskcluster.create_task(body);
    created.with_context(|| format!("the queue refused `{}`", definition.name))?;
    Ok(())
}

/// One run of the tasks on the embedded Taskcluster.
struct Run<'a> {
    args: &'a Args,
    taskcluster: Arc<Taskcluster>,
    definitions: Vec<Definition>,
    progress: Arc<Progress>,
}

impl Run<'_> {
    /// Runs the worker until all tasks are resolved, or with `--keep` until a signal, and tells how they ended.
    async fn work(&self, assembled: &Assembled, stop: &LifeCycleTracker) -> Result<Vec<Row>> {
        let _cancellations = self.cancel_some();
        let worker = assembled.work(stop);
        tokio::pin!(worker);
        tokio::select! {
            () = &mut worker => return self.tell(assembled).await,
            () = self.all_resolved() => {}
        }
        if !self.args.keep {
            stop.stop_gracefully();
            worker.await;
            return self.tell(assembled).await;
        }
        // The queue knows of an end a little before the worker has told of it.
        let ran = self
            .definitions
            .iter()
            .filter(|it| self.has_run(it))
            .count();
        self.progress.reported(ran).await;
        let rows = self.tell(assembled).await?;
        self.progress
            .say("\nthe worker and its queue go on until Ctrl-C");
        worker.await;
        Ok(rows)
    }

    fn cancel_some(&self) -> JoinSet<()> {
        let wanted = self
            .definitions
            .iter()
            .filter_map(|it| Some((it.task_id.to_string(), it.cancel_after?)));
        let cancel =
            |(task_id, after)| cancel_when_running(Arc::clone(&self.taskcluster), task_id, after);
        wanted.map(cancel).collect()
    }

    async fn all_resolved(&self) {
        for definition in &self.definitions {
            // An unknown task cannot be: it was created before.
            let task_id = definition.task_id.as_str();
            let _ = self
                .taskcluster
                .wait_for(task_id, |status| status.state.is_resolved())
                .await;
        }
    }

    fn has_run(&self, definition: &Definition) -> bool {
        self.taskcluster
            .status(definition.task_id.as_str())
            .is_ok_and(|status| !status.runs.is_empty())
    }

    async fn tell(&self, assembled: &Assembled) -> Result<Vec<Row>> {
        let rows = rows(&self.taskcluster, &self.definitions, &self.progress)?;
        summary::print(&rows, &assembled.measured(), self.args)
            .context("cannot print the summary")?;
        for row in rows.iter().filter(|row| row.surprise().is_some()) {
            self.tell_errors(row).await;
        }
        Ok(rows)
    }

    /// Shows what the log of a task gives as the reason for its end.
    async fn tell_errors(&self, row: &Row) {
        let task_id = row.definition.task_id.as_str();
        let stored = self
            .taskcluster
            .read_artifact(task_id, "public/logs/live_backing.log")
            .await;
        let Some(log) = stored.ok().and_then(|stored| stored.decoded().ok()) else {
            return;
        };
        let log = String::from_utf8_lossy(&log).into_owned();
        for line in log
            .lines()
            .filter(|line| line.starts_with("[taskcluster:error]"))
        {
            self.progress
                .say(format_args!("{:<10} {line}", row.definition.name));
        }
    }
}

async fn cancel_when_running(taskcluster: Arc<Taskcluster>, task_id: String, after: Duration) {
    let running = taskcluster
        .wait_for(&task_id, |status| {
            !status.runs.is_empty() && !is_pending(status)
        })
        .await;
    if running.is_ok() {
        tokio::time::sleep(after).await;
        // That it is resolved by now shows in the summary.
        let _ = taskcluster.cancel_task(&task_id);
    }
}

fn is_pending(status: &TaskSnapshot) -> bool {
    status.state == TaskState::Pending
}

fn print_exports(taskcluster: &Taskcluster, progress: &Progress) {
    let credentials = taskcluster.credentials();
    progress.say(format_args!(
        "\nto use it from elsewhere:\n\
         export TASKCLUSTER_ROOT_URL={}\n\
         export TASKCLUSTER_CLIENT_ID={}\n\
         export TASKCLUSTER_ACCESS_TOKEN={}\n",
        taskcluster.root_url(),
        credentials.client_id,
        credentials.secrets().next().unwrap_or_default(),
    ));
}

fn rows(
    taskcluster: &Taskcluster,
    definitions: &[Definition],
    progress: &Progress,
) -> Result<Vec<Row>> {
    let reports = progress.take_reports().into_iter();
    let mut reports: HashMap<_, _> = reports
        .map(|report| (report.run.task_id.clone(), report))
        .collect();
    definitions
        .iter()
        .map(|definition| {
            let task_id = definition.task_id.as_str();
            let status = taskcluster.status(task_id)?;
            let report = reports.remove(&definition.task_id);
            let artifacts = artifact_urls(taskcluster, &status)?;
            Ok(Row {
                state: state_of(&status),
                definition: definition.clone(),
                report,
                artifacts,
            })
        })
        .collect()
}

fn state_of(status: &TaskSnapshot) -> String {
    match status.reason_resolved() {
        Some(reason) if status.state == TaskState::Exception => format!("exception/{reason}"),
        _ => format!("{:?}", status.state).to_lowercase(),
    }
}

fn artifact_urls(
    taskcluster: &Taskcluster,
    status: &TaskSnapshot,
) -> Result<Vec<(String, String)>> {
    let Some(run) = status.runs.last() else {
        return Ok(Vec::new());
    };
    let base = format!(
        "{}/api/queue/v1/task/{}/runs/{}/artifacts",
        taskcluster.root_url(),
        status.task_id,
        run.run_id
    );
    let artifacts = taskcluster
        .artifacts(&status.task_id, run.run_id)?
        .into_iter();
    Ok(artifacts
        .map(|artifact| (artifact.name.clone(), format!("{base}/{}", artifact.name)))
        .collect())
}

fn judge(rows: &[Row]) -> Result<()> {
    let surprises: Vec<_> = rows.iter().filter_map(Row::surprise).collect();
    if surprises.is_empty() {
        return Ok(());
    }
    bail!("{}", surprises.join("; "))
}
